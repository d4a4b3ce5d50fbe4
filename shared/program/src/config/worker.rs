//! `[worker]`

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::Problems;
use super::value::{address, choice, milliseconds};

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// `/livez`, `/readyz`, `/metrics`. Default `127.0.0.1:9081`.
    #[serde(deserialize_with = "address")]
    pub internal_listen: SocketAddr,
    /// How many messages are handled at once, of different users. Default 256.
    pub concurrency: usize,
    /// How long a shutdown waits for messages under way, in milliseconds. Default 20,000.
    #[serde(rename = "grace_ms", deserialize_with = "milliseconds")]
    pub grace: Duration,
    /// What becomes of a reply that may or may not have been sent, because a worker died in the middle of it or because
    /// WeChat did not answer the call: sent again (default: nothing is lost) or skipped (nothing is doubled).
    pub ambiguous: Ambiguous,
}

/// What to do with a step that may or may not have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    /// Send it: the user may see it twice.
    Resend,
    /// Leave it out: the user may not see it.
    Skip,
}

impl<'de> Deserialize<'de> for Ambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("resend", Self::Resend), ("skip", Self::Skip)])
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            internal_listen: (Ipv4Addr::LOCALHOST, 9081).into(),
            concurrency: 256,
            grace: Duration::from_secs(20),
            ambiguous: Ambiguous::Resend,
        }
    }
}

impl Worker {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("[worker] concurrency", self.concurrency as u64, 1, 100_000);
    }
}
