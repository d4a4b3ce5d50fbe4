//! `[ingress]`

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::value::{address, folder, milliseconds};
use super::{BackendUrls, Problems};

/// `[ingress]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// The address for WeChat's pushes. Default `0.0.0.0:8080`.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The address for `/livez`, `/readyz`, `/metrics`, `/v1`; not for the internet. Default `127.0.0.1:9080`.
    #[serde(deserialize_with = "address")]
    pub internal_listen: SocketAddr,
    /// The largest push, in bytes. Default 1 MiB.
    pub max_body_bytes: usize,
    /// How many bytes of bodies are held at once, without the first 16 KiB of each; bodies beyond this limit wait. Reading
    /// the bodies and writing them to the queue needs more memory than this. Default 64 MiB.
    pub max_buffered_bytes: usize,
    /// How many connections are served at once; connections beyond this limit wait in the kernel's queue. Default 4,096.
    pub max_connections: usize,
    /// How long a shutdown waits for pushes under way, in milliseconds. Default 10,000.
    #[serde(rename = "grace_ms", deserialize_with = "milliseconds")]
    pub grace: Duration,
    /// The folder of the [`spool`](kefu_spool). Default none: ingress refuses pushes that the broker does not accept.
    #[serde(deserialize_with = "folder")]
    pub spool: Option<PathBuf>,
    /// How many bytes of messages the spool of one ingress keeps. Default 1 GiB.
    pub spool_max_bytes: u64,
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            internal_listen: (Ipv4Addr::LOCALHOST, 9080).into(),
            max_body_bytes: 1024 * 1024,
            max_buffered_bytes: 64 * 1024 * 1024,
            max_connections: 4_096,
            grace: Duration::from_secs(10),
            spool: None,
            spool_max_bytes: 1024 * 1024 * 1024,
        }
    }
}

impl Ingress {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("[ingress] max_body_bytes", self.max_body_bytes as u64, 1_024, 16 * 1024 * 1024);
        problems.within("[ingress] max_buffered_bytes", self.max_buffered_bytes as u64, 1_024, 1 << 40);
        if self.max_buffered_bytes < self.max_body_bytes {
            problems.add("[ingress] max_buffered_bytes", "must not be less than max_body_bytes");
        }
        problems.within("[ingress] max_connections", self.max_connections as u64, 1, 1_000_000);
        problems.within("[ingress] spool_max_bytes", self.spool_max_bytes, 1024 * 1024, 1 << 40);
    }

    /// Makes the spool's folder relative to the configuration's folder, and allows a spool only beside a broker.
    pub(super) fn resolve_spool(&mut self, backend: Option<&BackendUrls>, from: &Path, problems: &mut Problems) {
        self.spool = self.spool.take().map(|folder| from.join(folder));
        if self.spool.is_some() && matches!(backend, Some(BackendUrls::Embedded(_))) {
            let text = "is for a queue on RabbitMQ; the embedded queue is on this disk already: leave it out";
            problems.add("[ingress] spool", text);
        }
    }
}
