//! The smallest configuration, and a folder for one, for the tests of several crates.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "only tests use it")]

use std::path::{Path, PathBuf};

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
token = "hush-token"
mode = "plain"
"#;

/// The table of another account, to follow [`MINIMAL`].
///
/// # Panics
/// Never.
pub fn account(appid: &str) -> String {
    format!("[[account]]{}", MINIMAL.split_once("[[account]]").unwrap().1.replace("wx1", appid))
}

/// [`MINIMAL`] with `more` after it. The folder must live as long as the configuration is in use.
///
/// # Panics
/// When the configuration has problems.
pub fn config(more: &str) -> (Config, Folder) {
    let folder = Folder::new(format!("{MINIMAL}{more}"));
    (folder.load(&[]).unwrap(), folder)
}

/// A folder with a `kefu.toml`, and with the files that it names.
pub struct Folder(TempDir);

impl Folder {
    /// A folder with this `kefu.toml`.
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        Self(tempfile::tempdir().unwrap()).with("kefu.toml", text)
    }

    /// With one more file.
    pub fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        self
    }

    /// Writes a file anew.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of its `kefu.toml`.
    pub fn config(&self) -> PathBuf {
        self.path().join("kefu.toml")
    }

    /// Loads the configuration with these variables of the environment.
    pub fn load(&self, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        config::load_with(&self.config(), environment)
    }

    /// The mistakes in the configuration, which must have some.
    pub fn problems(&self, environment: &[(&str, &str)]) -> Vec<String> {
        self.load(environment).expect_err("the configuration was taken").problems().to_vec()
    }
}
