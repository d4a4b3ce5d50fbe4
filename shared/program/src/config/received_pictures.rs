//! `[received_pictures]`

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Problems;
use super::value::folder;

/// `[received_pictures]`: what becomes of the pictures that users send.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct ReceivedPictures {
    /// The folder that they are stored below. Default none: they are not.
    #[serde(deserialize_with = "folder")]
    pub folder: Option<PathBuf>,
    /// The largest that is fetched, in bytes. Default 20 MiB.
    pub max_bytes: u64,
}

impl Default for ReceivedPictures {
    fn default() -> Self {
        Self { folder: None, max_bytes: 20 * 1024 * 1024 }
    }
}

impl ReceivedPictures {
    /// Takes the folder from the configuration's folder on and checks the values.
    pub(super) fn resolve(&mut self, from: &Path, problems: &mut Problems) {
        self.folder = self.folder.take().map(|folder| from.join(folder));
        problems.within("[received_pictures] max_bytes", self.max_bytes, 1_024, 256 * 1024 * 1024);
    }
}
