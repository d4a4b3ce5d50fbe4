//! `[queue]`

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::Problems;

const MOST_PREFETCH: u16 = 2_000;

/// What a worker holds of the whole queue, by default, as a multiple of what it works on at once: enough that it never waits
/// for the broker, and little enough that a worker that joins has its partitions within a moment.
const HELD_PER_CONCURRENCY: usize = 4;

/// `[queue]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Queue {
    pub(super) url: Option<SecretString>,
    pub(super) url_file: Option<PathBuf>,
    /// How many partitions there are: 1 to 1,024, default 64. It must not change while messages are queued.
    pub partitions: u16,
    /// How many unsettled messages of one partition a worker holds: 1 to 2,000. By default it follows the worker's
    /// concurrency, see [`Config::prefetch`](super::Config::prefetch).
    pub prefetch: Option<u16>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { url: None, url_file: None, partitions: 64, prefetch: None }
    }
}

impl Queue {
    /// `[queue] prefetch` or, without it, what follows from the worker's concurrency: over all partitions four times that,
    /// rounded up, and at least 2 a partition.
    pub(super) fn prefetch(&self, concurrency: usize) -> u16 {
        let followed = concurrency.saturating_mul(HELD_PER_CONCURRENCY).div_ceil(usize::from(self.partitions.max(1)));
        self.prefetch.unwrap_or_else(|| u16::try_from(followed).unwrap_or(MOST_PREFETCH).clamp(2, MOST_PREFETCH))
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("[queue] partitions", self.partitions.into(), 1, 1_024);
        if let Some(prefetch) = self.prefetch {
            problems.within("[queue] prefetch", prefetch.into(), 1, u64::from(MOST_PREFETCH));
        }
    }
}
