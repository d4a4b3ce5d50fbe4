//! State on a Redis server (7.0 or later, or Valkey), shared by all processes.
//!
//! # What is in Redis
//! One key for each thing, with the varying part in hash-tag braces. Times are Redis's own, in milliseconds since the Unix
//! epoch. Every key has an expiry.
//!
//! | key | type | value |
//! |---|---|---|
//! | `kefu:claim:{MESSAGE KEY}` | string | `p:OWNER`: pending, OWNER is publishing the message; `d` and the answer that WeChat got: done |
//! | `kefu:job:{MESSAGE KEY}` | hash | the ledger's entry, see below |
//! | `kefu:token:{APPID}` | hash | `value` (**secret**), `expires_at`; `fence` the last fence handed out, `stored_fence` the fence of the value; `lock_owner`, `lock_until` while a process fetches a token |
//! | `kefu:media:{APPID}:SHA256` | string | the `media_id` |
//! | `kefu:window:{APPID\|OPENID}` | hash | the record of a user's window (`\|BUSINESS ID` follows for a session with a sub-merchant): `m_at m_by m_sent m_refused` of the latest message, `e_…` of the latest entering, `counted` the last counted reply, `unknown_until` the time from which messages make something known again |
//! | `kefu:send:{ID}` | hash | `fingerprint` of the message under the ID of `/v1`; `status` and `state` (JSON) once the message is published |
//! | `kefu:conversation:{APPID\|OPENID}` | list | the user's conversation with the assistant (`\|BUSINESS ID` follows for a session with a sub-merchant), the oldest exchange first: `END DIGEST JSON`, the time of its end, the digest of the message key, the two texts |
//! | `kefu:order:{APPID\|OPENID}` | sorted set | message keys of the user that are in the queue again, scored by the time at which work on each began; kept for 72 hours after the last one left |
//! | `kefu:seats` | hash | for each running worker `SEAT UNTIL`: the worker's number, from 0 on, and the time at which the seat expires; renewed every 5 s |
//! | `kefu:probe` | string | empty, for a second: shows `/readyz` that the server accepts writes |
//!
//! A job has `state` (`open`, `done`), `fence`, `next` (index of the next step; absent for 0), `owner` and `until` (the lease), `sending`
//! (a step begun and not known to be sent) and `plan` (JSON). A job that is done keeps only `state`, `fence` and `next`.
//!
//! Treat a dump as personal data. Names of keys contain openids. A claim contains the answer, which names the user if it
//! transfers the user, and may say anything if a webhook made it. An open job contains the replies, and a conversation
//! contains the texts of the user and the assistant.
//!
//! # What the server needs
//! * `maxmemory-policy noeviction`: an eviction would undo a claim or a ledger entry in silence. The store checks this
//!   after the first connect and logs a warning. `appendonly yes`, so that a restart forgets nothing.
//! * 7.0: claims use `SET … NX GET`.
//! * If an ACL restricts the user: `~kefu:*`, `+@read +@write +@scripting +@connection +time`; `+config|get` and `+info`
//!   for the check above.
//! * One endpoint. The endpoint may fail over; the store does not follow the redirections of a sharded Redis Cluster.
//!
//! # Failure
//! Each call ends within 0.3 s, including the connect. The connection replaces itself when it dies, for as long as the
//! process lives.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;

use super::{Probe, StoreError, Stores, Written};
use connection::Connection;
pub use inspect::{Inspection, inspect};
use script::{Invocation, Script};

/// A script, after the scripts that it needs.
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
mod script;
mod seats;
mod server;
mod tokens;
mod windows;

/// Opens the seams on the Redis at `url`: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS.
///
/// Does not wait for the server: the connection is made in the background, and calls fail with [`StoreError::Unavailable`]
/// until the server answers. Call this function inside a tokio runtime. TLS trusts the system's root certificates
/// (`SSL_CERT_FILE` names others), and needs a process-wide rustls provider that the program installs first.
///
/// # Errors
/// [`StoreError::Url`] when the URL has neither form.
pub async fn open(url: &str) -> Result<Stores, StoreError> {
    let connection = Arc::new(Connection::open(url)?);
    tokio::spawn(server::check(Arc::downgrade(&connection)));
    let store = Arc::new(Redis { connection });
    Ok(Stores { seats: Some(store.clone()), ..Stores::on(store) })
}

/// Whether a URL can be used, as far as the URL alone can tell.
pub fn verify_url(url: &str) -> Result<(), StoreError> {
    Connection::parse(url).map(drop)
}

/// All seams on one connection.
struct Redis {
    connection: Arc<Connection>,
}

impl Redis {
    /// Runs a fenced script, which answers 1 or 0.
    async fn write(&self, script: &Invocation) -> Result<Written, StoreError> {
        Ok(if self.connection.invoke(script).await? { Written::Yes } else { Written::Fenced })
    }
}

#[async_trait]
impl Probe for Redis {
    /// A write and not a `PING`: a replica and a full server answer `PING` all the same.
    async fn probe(&self) -> Result<(), StoreError> {
        self.connection.query(::redis::cmd("SET").arg("kefu:probe").arg("").arg("PX").arg(1_000)).await
    }
}

/// A duration as Redis takes it: whole milliseconds, at least 1 (0 is refused or deletes), at most 100 years.
fn millis(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;
    u64::try_from(duration.as_millis()).unwrap_or(CENTURY).clamp(1, CENTURY)
}

/// Deletes a string that still has the value that the caller expects.
static DELETE_IF_EQUAL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/lua/delete_if_equal.lua")));

#[cfg(test)]
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
