//! The corpus of a fuzz target. A file that cannot be read fails the test that reads it. Tests on a stable compiler try its files and changed copies of them.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

/// The files of `fuzz/corpus/TARGET` in the folder of the repository.
pub(crate) fn files(repository: &str, target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(repository).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A change to some bytes.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Replace(Index, u8),
    Insert(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\"\\<>{}[]&;:,=/!-u0 \n\0\xff".to_vec())];
    prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (any::<Index>(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        any::<(Index, Index)>().prop_map(|(from, to)| Edit::Cut(from, to)),
        any::<(Index, Index)>().prop_map(|(from, to)| Edit::Repeat(from, to)),
        any::<(Index, Index, Index)>().prop_map(|(other, from, to)| Edit::Splice(other, from, to)),
    ]
}

/// Copies of files of the corpus, each with up to 8 changes.
pub(crate) fn near(files: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), prop::collection::vec(edit(), 0..8)).prop_map(move |(file, edits)| {
        let bytes = file.get(&files).clone();
        edits.iter().fold(bytes, |bytes, edit| edited(bytes, edit, &files))
    })
}

fn edited(mut bytes: Vec<u8>, edit: &Edit, files: &[Vec<u8>]) -> Vec<u8> {
    let end = bytes.len() + 1;
    let range = |from: &Index, to: &Index, end: usize| {
        let (from, to) = (from.index(end), to.index(end));
        from.min(to)..from.max(to)
    };
    match edit {
        Edit::Replace(at, byte) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Edit::Replace(..) => {}
        Edit::Insert(at, byte) => bytes.insert(at.index(end), *byte),
        Edit::Cut(from, to) => drop(bytes.drain(range(from, to, end))),
        Edit::Repeat(from, to) => bytes.extend_from_within(range(from, to, end)),
        Edit::Splice(other, from, to) => {
            let other = other.get(files);
            bytes.extend_from_slice(&other[range(from, to, other.len() + 1)]);
        }
    }
    bytes
}
