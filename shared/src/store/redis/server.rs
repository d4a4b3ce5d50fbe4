//! What is wrong with the server's settings, said once.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use super::connection::Connection;

const RETRY: Duration = Duration::from_secs(1);

/// Waits for the server, then logs the settings under which kefu would lose state. A server that does not tell them
/// (managed ones often forbid `CONFIG`) is left alone. Ends when the store is dropped.
pub(super) async fn check(connection: Weak<Connection>) {
    while let Some(connection) = connection.upgrade() {
        if connection.query::<()>(&redis::cmd("PING")).await.is_ok() {
            check_version(&connection).await;
            return check_eviction(&connection).await;
        }
        drop(connection);
        tokio::time::sleep(RETRY).await;
    }
}

async fn check_version(connection: &Connection) {
    let Ok(info) = connection.query::<String>(redis::cmd("INFO").arg("server")).await else {
        return tracing::debug!("Redis does not tell its version");
    };
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < 7) {
        tracing::error!(version, "this Redis is too old: kefu needs 7.0 or later");
    }
}

async fn check_eviction(connection: &Connection) {
    let mut get = redis::cmd("CONFIG");
    let settings = connection.query::<HashMap<String, String>>(get.arg("GET").arg("maxmemory-policy")).await;
    match settings.ok().and_then(|mut settings| settings.remove("maxmemory-policy")) {
        None => tracing::debug!("Redis does not tell its maxmemory-policy; it must be noeviction"),
        Some(policy) if policy == "noeviction" => {}
        Some(policy) => tracing::warn!(
            maxmemory_policy = policy,
            "Redis may evict kefu's state, so that a message may be answered twice: set maxmemory-policy to noeviction"
        ),
    }
}
