//! The smallest configuration, for the tests of this crate and of others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "only tests use it")]

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::{self, Config, ConfigErrors};

/// The smallest configuration that kefu takes, with these accounts: an embedded backend, plain mode, no rules.
pub fn smallest(appids: &[&str]) -> String {
    let account = |appid: &&str| {
        format!(
            "[[account]]\nappid = \"{appid}\"\nsecret = \"hush-secret\"\ntoken = \"hush-token\"\nmode = \"plain\"\n"
        )
    };
    let accounts: String = appids.iter().map(account).collect();
    format!("[queue]\nurl = \"embedded:data\"\n[store]\nurl = \"embedded:data\"\n{accounts}")
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
