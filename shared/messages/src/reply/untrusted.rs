//! Replies from outside kefu: in a webhook's answer, or in a message of a team's backend.
//!
//! Both are read and checked here, by the same rules and with the same words. The words name places as `replies[0].text`,
//! and never values: a text for a user does not belong in a log.

use std::path::{Component, Path};

use serde::{Deserialize, Deserializer};

use super::Reply;
use super::picture::PictureFolder;

/// The shape of the received value is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// The place, as `replies[0].text`; empty for the whole value.
    pub place: String,
    /// The problem at that place.
    pub problem: String,
}

/// Reads a value without ignoring any field: an unknown field is probably misspelt, and without it kefu would send
/// something else than its author meant.
///
/// # Errors
/// The first mistake in the value's shape.
pub fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, Misshapen> {
    let (mut unknown, mut track) = (None, serde_path_to_error::Track::new());
    let watched = serde_path_to_error::Deserializer::new(from, &mut track);
    let read = serde_ignored::deserialize(watched, |path| {
        unknown.get_or_insert_with(|| path.to_string());
    });
    let read = read.map_err(|error| {
        let place = track.path().to_string();
        let place = if place == "." { String::new() } else { shown(&place) };
        Misshapen { place, problem: plain(&error.to_string()) }
    })?;
    match unknown {
        Some(path) => Err(Misshapen { place: shown(&place(&path)), problem: "there is no such field".to_owned() }),
        None => Ok(read),
    }
}

/// All reasons, in words, why WeChat would refuse the replies. With `pictures` the function looks at the pictures on the
/// disk, which takes a moment; otherwise the pictures are believed to be unchanged.
pub fn problems(replies: &[Reply], pictures: Option<&PictureFolder>) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        let found = match (reply.picture().and_then(|(name, file)| leaves(name, file, pictures)), pictures) {
            (Some(leaves), _) => vec![leaves],
            (None, Some(PictureFolder { path, max_bytes })) => reply.problems(path, *max_bytes),
            (None, None) if reply.picture().is_some() => Vec::new(),
            (None, None) => reply.problems(Path::new(""), 0),
        };
        problems.extend(found.into_iter().map(|problem| format!("replies[{index}]: {}", shown(&problem))));
    }
    problems
}

/// A sender of replies may send the pictures beside the configuration, and no other file of the machine.
fn leaves(name: &str, file: &Path, pictures: Option<&PictureFolder>) -> Option<String> {
    let must = format!("{name} must be a path within the folder of kefu's configuration");
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if file.as_os_str().is_empty() || !file.components().all(plain) {
        return Some(format!("{must}: no leading / and no .. in it"));
    }
    let folder = pictures?.path.as_path();
    let real_folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.canonicalize();
    match (real_folder, folder.join(file).canonicalize()) {
        (Ok(folder), Ok(file)) if !file.starts_with(&folder) => {
            Some(format!("{must}: a symbolic link leads out of it"))
        }
        // A missing file is reported by the code that reads the file.
        _ => None,
    }
}

/// `replies.0.txt` as `replies[0].txt`; `?` marks an optional part.
fn place(path: &str) -> String {
    path.split('.').filter(|part| *part != "?").fold(String::new(), |place, part| match part.parse::<usize>() {
        Ok(index) => format!("{place}[{index}]"),
        Err(_) if place.is_empty() => part.to_owned(),
        Err(_) => format!("{place}.{part}"),
    })
}

/// An error's text without the value, which may be a text for a user.
fn plain(error: &str) -> String {
    match error.strip_prefix("invalid ").and_then(|error| error.rsplit_once(", expected ")) {
        Some((_, expected)) if expected.starts_with("struct ") => "must be an object".to_owned(),
        Some((_, expected)) => format!("must be {expected}"),
        None => shown(error),
    }
}

/// A foreign text, shortened.
fn shown(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    shown.extend(text.chars().nth(LONGEST).map(|_| '…'));
    shown.replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests;
