//! `[queue]`

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::Problems;
use super::value::within;

/// `[queue]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Queue {
    pub(super) url: Option<SecretString>,
    pub(super) url_file: Option<PathBuf>,
    /// How many partitions there are: 1 to 1,024, default 64. It must not change while messages are queued.
    pub partitions: u16,
    /// How many unsettled messages of one partition a worker holds: 1 to 2,000, default 100.
    pub prefetch: u16,
}

impl Default for Queue {
    fn default() -> Self {
        Self { url: None, url_file: None, partitions: 64, prefetch: 100 }
    }
}

impl Queue {
    pub(super) fn check(&self, problems: &mut Problems) {
        within("[queue] partitions", self.partitions.into(), 1, 1_024, problems);
        within("[queue] prefetch", self.prefetch.into(), 1, 2_000, problems);
    }
}
