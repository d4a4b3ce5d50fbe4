//! The settings of a Redis server, for checking that the server is set as kefu needs it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::sleep;

use super::connection::Connection;
use super::seats;
use crate::StoreError;

/// The settings of a server. A setting that the server does not show (managed servers often forbid `CONFIG`) is `None`.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// `redis_version` of `INFO`.
    pub version: Option<String>,
    /// `master` or `slave`.
    pub role: Option<String>,
    /// `appendonly`: `yes` or `no`.
    pub appendonly: Option<String>,
    /// `maxmemory-policy`.
    pub maxmemory_policy: Option<String>,
    /// The server's time, in milliseconds since the Unix epoch.
    pub time_ms: Option<u64>,
    /// How many workers have a seat. A dead worker counts until its seat expires, 15 s at most.
    pub workers: Option<usize>,
}

/// How often the first connection is tried: a connection over TLS to a distant server may take longer than one call may.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Asks the server at `url`, and writes nothing. Ends within 5 s. Like [`open`](super::open), this function needs a tokio
/// runtime.
///
/// # Errors
/// When the URL cannot be used, or the server does not answer.
pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
    let connection = Connection::open(url)?;
    let mut tries = 1;
    while let Err(error) = connection.query::<()>(&redis::cmd("PING")).await {
        if tries == TRIES {
            return Err(error);
        }
        tries += 1;
        sleep(PAUSE).await;
    }
    let time = connection.query::<(u64, u64)>(&redis::cmd("TIME")).await.ok();
    let time_ms = time.map(|(seconds, micros)| seconds * 1_000 + micros / 1_000);
    let workers = match time_ms {
        Some(now_ms) => seats::taken(&connection, now_ms).await,
        None => None,
    };
    Ok(Inspection {
        version: info(&connection, "server", "redis_version").await,
        role: info(&connection, "replication", "role").await,
        appendonly: setting(&connection, "appendonly").await,
        maxmemory_policy: setting(&connection, "maxmemory-policy").await,
        time_ms,
        workers,
    })
}

impl Inspection {
    /// Whether kefu does not work with this version.
    pub fn is_too_old(&self) -> bool {
        self.version.as_deref().is_some_and(is_too_old)
    }
}

/// Whether kefu does not work with this version.
pub(super) fn is_too_old(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < 7)
}

/// A line of `INFO`, if the server shows the line.
pub(super) async fn info(connection: &Connection, section: &str, name: &str) -> Option<String> {
    let info = connection.query::<String>(redis::cmd("INFO").arg(section)).await.ok()?;
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// A setting, if the server shows the setting.
pub(super) async fn setting(connection: &Connection, name: &str) -> Option<String> {
    let asked = connection.query::<HashMap<String, String>>(redis::cmd("CONFIG").arg("GET").arg(name)).await;
    asked.ok()?.remove(name)
}
