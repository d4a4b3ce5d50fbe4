//! State on a Redis server (7.0 or later, or Valkey), shared by all processes.
//!
//! # What is in Redis
//! One key a thing, the varying part in hash-tag braces. Times are Redis's own, in milliseconds since the Unix epoch.
//! Every key has an expiry.
//!
//! | key | type | value |
//! |---|---|---|
//! | `kefu:claim:{MESSAGE KEY}` | string | `p:OWNER` pending, published by OWNER right now; `d` and the answer that WeChat got: done |
//! | `kefu:job:{MESSAGE KEY}` | hash | the ledger's entry, see below |
//! | `kefu:token:{APPID}` | hash | `value` (**secret**), `expires_at`; `fence` the last handed out, `stored_fence` that of the value; `lock_owner`, `lock_until` while somebody fetches |
//! | `kefu:media:{APPID}:SHA256` | string | the `media_id` |
//! | `kefu:window:{APPID\|OPENID}` | hash | what is known of a user's window (`\|BUSINESS ID` behind it for one with a sub-merchant): `m_at m_by m_sent m_refused` by the latest message, `e_…` by the latest entering, `counted` the reply counted last, `unknown_until` when messages make something known again |
//! | `kefu:send:{ID}` | hash | `fingerprint` of what was to be sent under the ID of `/v1`; `status` and `state` (JSON) once it is published |
//! | `kefu:conversation:{APPID\|OPENID}` | list | the user's conversation with the assistant (`\|BUSINESS ID` behind it for one with a sub-merchant), the oldest first: `END DIGEST JSON`, when it ends, the digest of the message key, what was said |
//! | `kefu:order:{APPID\|OPENID}` | sorted set | message keys of the user that are in the queue again, scored by the time at which work on each began; kept for 72 hours after the last one left |
//! | `kefu:seats` | hash | of each worker that runs `SEAT UNTIL`: its number, from 0 on, and until when it has that; renewed every 5 s |
//! | `kefu:probe` | string | empty, for a second: `/readyz` can write |
//!
//! A job has `state` (`open`, `done`), `fence`, `next` (index of the next step), `owner` and `until` (the lease),
//! `sending` (a step begun and not known to be sent) and `plan` (JSON). Once it is done, `state`, `fence` and `next`
//! are left.
//!
//! Treat a dump as personal data: names of keys hold openids; a claim the answer, which names the user when it transfers
//! them and may say anything when a webhook made it; an open job the replies; a conversation what the user and the
//! assistant wrote.
//!
//! # What the server needs
//! * `maxmemory-policy noeviction`: an eviction would undo a claim or a ledger entry in silence. Checked after the
//!   first connect and logged as a warning. `appendonly yes`, so that a restart forgets nothing.
//! * 7.0: claims use `SET … NX GET`.
//! * If the user is restricted by ACL: `~kefu:*`, `+@read +@write +@scripting +@connection +time`; `+config|get` and
//!   `+info` for the check above.
//! * One endpoint. It may be one that fails over; a sharded Redis Cluster is not followed through its redirections.
//!
//! # Failure
//! Each call ends within 0.3 s, connecting included. A dead connection is replaced by
//! itself, for as long as the process lives.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::{Script, ScriptInvocation};
use async_trait::async_trait;

use super::{Probe, StoreError, Stores, Written};
use connection::Connection;
pub use inspect::{Inspection, inspect};

/// A script, behind the parts that it needs.
macro_rules! script {
    ($($file:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $file))),+)))
    };
}

mod claims;
mod connection;
mod conversations;
mod error;
mod inspect;
mod ledger;
mod media;
mod messages;
mod order;
mod seats;
mod server;
mod tokens;
mod windows;

/// Opens the seams on the Redis at `url`: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS.
///
/// Does not wait for the server: it connects behind the scenes, and calls fail with [`StoreError::Unavailable`] until
/// it is there. Must be called inside a tokio runtime. TLS trusts the system's root certificates (`SSL_CERT_FILE`
/// names others), and needs a process-wide rustls provider that the program installs first.
///
/// # Errors
/// [`StoreError::Url`] when the URL is not one of these.
pub async fn open(url: &str) -> Result<Stores, StoreError> {
    let connection = Arc::new(Connection::open(url)?);
    tokio::spawn(server::check(Arc::downgrade(&connection)));
    let store = Arc::new(Redis { connection });
    Ok(Stores {
        claims: store.clone(),
        ledger: store.clone(),
        tokens: store.clone(),
        media: store.clone(),
        windows: store.clone(),
        messages: store.clone(),
        conversations: store.clone(),
        order: store.clone(),
        seats: Some(store.clone()),
        probe: store,
    })
}

/// Whether a URL can be used, as far as that can be told without the server.
pub fn verify_url(url: &str) -> Result<(), StoreError> {
    Connection::parse(url).map(drop)
}

/// All seams on one connection.
struct Redis {
    connection: Arc<Connection>,
}

impl Redis {
    /// Runs a fenced script, which answers 1 or 0.
    async fn write(&self, script: &ScriptInvocation<'_>) -> Result<Written, StoreError> {
        Ok(if self.connection.invoke(script).await? { Written::Yes } else { Written::Fenced })
    }
}

#[async_trait]
impl Probe for Redis {
    /// A write, not a `PING`: a replica and a full server answer `PING` all the same.
    async fn probe(&self) -> Result<(), StoreError> {
        self.connection.query(::redis::cmd("SET").arg("kefu:probe").arg("").arg("PX").arg(1_000)).await
    }
}

/// A duration as Redis takes it: whole milliseconds, at least 1 (0 is refused or deletes), at most 100 years.
fn millis(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;
    u64::try_from(duration.as_millis()).unwrap_or(CENTURY).clamp(1, CENTURY)
}

/// Deletes a string that is still what the caller believes it is.
static DELETE_IF_EQUAL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/lua/delete_if_equal.lua")));

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn durations_stay_within_what_redis_takes() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_micros(1_500)), 1);
        assert_eq!(millis(Duration::from_secs(4)), 4_000);
        assert_eq!(millis(Duration::MAX), 3_153_600_000_000);
    }

    #[tokio::test]
    async fn a_wrong_url_is_refused_without_being_repeated() {
        for url in [
            "",
            "localhost:6379",
            "http://user:hunter2@localhost",
            "redis://user:hunter2@localhost:port",
            "redis://user:hunter2@localhost/zero",
            "redis://:hunter2?@localhost",
            "redis://user:hunter2@localhost/?protocol=hunter2",
            "rediss://user:hunter2@localhost/#insecure",
        ] {
            let Err(error) = open(url).await else { panic!("{url} was taken") };
            assert!(matches!(error, StoreError::Url(_)), "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
