//! Warns of wrong settings of the server, once.

use std::sync::Weak;
use std::time::Duration;

use super::connection::Connection;
use super::inspect;

const RETRY: Duration = Duration::from_secs(1);

/// Waits for the server, then logs the settings under which kefu would lose state. A server that does not show its settings
/// (managed servers often forbid `CONFIG`) is not checked. Ends when the store is dropped.
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
    let Some(version) = inspect::info(connection, "server", "redis_version").await else {
        return tracing::debug!("Redis does not tell its version");
    };
    if inspect::is_too_old(&version) {
        tracing::error!(version, "this Redis is too old: kefu needs 7.0 or later");
    }
}

async fn check_eviction(connection: &Connection) {
    match inspect::setting(connection, "maxmemory-policy").await {
        None => tracing::debug!("Redis does not tell its maxmemory-policy; it must be noeviction"),
        Some(policy) if policy == "noeviction" => {}
        Some(policy) => tracing::warn!(
            maxmemory_policy = policy,
            "Redis may evict kefu's state, so that a message may be answered twice: set maxmemory-policy to noeviction"
        ),
    }
}
