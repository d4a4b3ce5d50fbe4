//! Cargo's target folder, found from the running program.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder that holds the built programs, such as `target/debug`.
pub fn profile_folder() -> PathBuf {
    let this = std::env::current_exe().expect("the running program has a path");
    let folder = this.parent().expect("a program is in a folder");
    // Tests are in `deps/` below it, programs are in the folder itself.
    if folder.ends_with("deps") { folder.parent().expect("deps/ is in a folder").to_owned() } else { folder.to_owned() }
}

/// The folder that `cargo clean` removes, such as `target`.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().expect("the profile's folder is in the target folder").to_owned()
}

/// One of the workspace's programs.
///
/// # Panics
/// When it is not built, or not from the source code as it is now: cargo builds the tests of one package without the
/// programs of the others, and a test of yesterday's program proves nothing.
pub fn program(name: &str) -> PathBuf {
    const HOW: &str = "run `tests/run`, or `cargo build --workspace --bins` first";
    let path = profile_folder().join(name);
    let Some(built) = modified(&path) else { panic!("{} is not built: {HOW}", path.display()) };
    let sources = sources(&path.with_extension("d"));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is in the workspace");
    let ours = |source: &Path| source.starts_with(workspace) || source.starts_with(target_folder());
    if let Some(elsewhere) = sources.iter().find(|source| !ours(source)) {
        panic!("{} is built from another copy, {}: {HOW}", path.display(), elsewhere.display());
    }
    if let Some(newer) = sources.iter().find(|source| modified(source) > Some(built)) {
        panic!("{} is older than {}: {HOW}", path.display(), newer.display());
    }
    path
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The source files that cargo notes beside a program, as in a makefile: `program: source source\ with\ space`.
fn sources(dep_info: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(dep_info).unwrap_or_default();
    let Some((_, list)) = text.lines().next().and_then(|line| line.split_once(": ")) else { return Vec::new() };
    list.replace("\\ ", "\0")
        .split(' ')
        .filter(|source| !source.is_empty())
        .map(|s| s.replace('\0', " ").into())
        .collect()
}
