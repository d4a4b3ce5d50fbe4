//! Redis answers, but not as kefu needs it.

use kefu_harness::redis::RedisServer;
use kefu_messages::plan::Plan;
use kefu_runtime::testing::Log;
use kefu_store::redis::open;
use kefu_store::{StoreError, Stores, Written};
use redis::aio::MultiplexedConnection;
use redis::cmd;

use super::{LONG, begin, connect, key};
use crate::clock::eventually;

async fn set(connection: &mut MultiplexedConnection, setting: &str, value: &str) {
    cmd("CONFIG").arg("SET").arg(setting).arg(value).query_async::<()>(connection).await.unwrap();
}

/// What every kind of write says.
async fn writes_are_unavailable(stores: &Stores, because: &str) {
    for error in [
        stores.probe.probe().await.unwrap_err(),
        stores.claims.claim(&key(), "a", LONG).await.unwrap_err(),
        stores.claims.complete(&key(), "", LONG).await.unwrap_err(),
        stores.ledger.claim(&key(), "a", LONG, LONG).await.unwrap_err(),
        stores.tokens.lock("wx1", "a", LONG).await.unwrap_err(),
        stores.media.put("wx1", "abc123", "media-1", LONG).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(because), "{text}");
        assert!(!text.contains("oUser") && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_full_redis_is_unavailable() {
    let (server, stores) = begin().await;
    let mut connection = connect(&server).await;
    set(&mut connection, "maxmemory", "1").await;
    writes_are_unavailable(&stores, "OOM").await;
    set(&mut connection, "maxmemory", "0").await;
    stores.probe.probe().await.unwrap();
}

#[tokio::test]
async fn a_replica_is_unavailable() {
    let (server, stores) = begin().await;
    let mut connection = connect(&server).await;
    // Port 1 has no master; that does not matter to who may write.
    cmd("REPLICAOF").arg("127.0.0.1").arg("1").query_async::<()>(&mut connection).await.unwrap();
    writes_are_unavailable(&stores, "READONLY").await;
    cmd("REPLICAOF").arg("NO").arg("ONE").query_async::<()>(&mut connection).await.unwrap();
    stores.probe.probe().await.unwrap();
}

#[tokio::test]
async fn a_refused_login_works_as_soon_as_the_password_is_right() {
    let server = RedisServer::start().await;
    let mut connection = connect(&server).await;
    set(&mut connection, "requirepass", "another").await;
    let stores = open(&server.url().replace("redis://", "redis://:hunter2@")).await.unwrap();
    writes_are_unavailable(&stores, "check user and password").await;
    cmd("AUTH").arg("another").query_async::<()>(&mut connection).await.unwrap();
    set(&mut connection, "requirepass", "hunter2").await;
    eventually("a login", async || stores.probe.probe().await.ok()).await;
}

#[tokio::test]
async fn a_user_restricted_to_what_the_documentation_names_can_do_all() {
    let server = RedisServer::start().await;
    let mut connection = connect(&server).await;
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("kefu").arg("on").arg(">hunter2").arg("~kefu:*");
    user.arg("+@read").arg("+@write").arg("+@scripting").arg("+@connection").arg("+time");
    user.query_async::<()>(&mut connection).await.unwrap();
    let stores = open(&server.url().replace("redis://", "redis://kefu:hunter2@")).await.unwrap();
    stores.probe.probe().await.unwrap();
    stores.claims.claim(&key(), "a", LONG).await.unwrap();
    stores.claims.release(&key(), "a").await.unwrap();
    stores.ledger.claim(&key(), "a", LONG, LONG).await.unwrap();
    let late = stores.ledger.store_plan(&key(), 1, &Plan::default()).await;
    assert_eq!(late.unwrap(), Written::Fenced);
    stores.tokens.lock("wx1", "a", LONG).await.unwrap();
    stores.tokens.get("wx1").await.unwrap();
    stores.media.put("wx1", "abc123", "media-1", LONG).await.unwrap();
}

/// Opens a store with these settings, and gives what it logs until `until` is in it.
async fn log_until(until: &str, settings: &[(&str, &str)]) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // Of this thread only: the test's runtime has no other.
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = RedisServer::start().await;
    let mut connection = connect(&server).await;
    for (setting, value) in settings {
        set(&mut connection, setting, value).await;
    }
    let _stores = open(&server.url()).await.unwrap();
    eventually(until, async || log.text().contains(until).then_some(())).await;
    log.text()
}

#[tokio::test]
async fn an_eviction_policy_is_warned_of() {
    let log = log_until("maxmemory-policy", &[("maxmemory-policy", "allkeys-lru")]).await;
    assert!(log.contains("WARN"), "{log}");
    assert!(log.contains("allkeys-lru"), "{log}");
}
