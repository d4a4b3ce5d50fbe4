//! The smallest configuration, for the tests of several crates.

// Tests only, which end at their own first fault.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use tempfile::TempDir;

use crate::config::{self, Config, ConfigErrors};

/// The smallest good configuration: the account `wx1`, everything in a file beside it, no rules. It ends in its last
/// table; others may follow.
pub const MINIMAL: &str = r#"[queue]
url = "embedded:data"
[store]
url = "embedded:data"
[[account]]
appid = "wx1"
secret = "SECRET-OF-wx1"
token = "t"
mode = "plain"
"#;

/// The table of another account, to follow [`MINIMAL`].
///
/// # Panics
/// Never.
pub fn account(appid: &str) -> String {
    format!("[[account]]{}", MINIMAL.split_once("[[account]]").unwrap().1.replace("wx1", appid))
}

/// Loads this text as the `kefu.toml` of the folder.
///
/// # Errors
/// When the configuration has problems.
///
/// # Panics
/// When the file cannot be written.
pub fn load(folder: &Path, text: &str) -> Result<Config, ConfigErrors> {
    let file = folder.join("kefu.toml");
    std::fs::write(&file, text).unwrap();
    config::load_with(&file, [])
}

/// [`MINIMAL`] with `more` after it. The folder must live as long as the configuration is in use.
///
/// # Panics
/// When the configuration has problems.
pub fn config(more: &str) -> (Config, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (load(folder.path(), &format!("{MINIMAL}{more}")).unwrap(), folder)
}
