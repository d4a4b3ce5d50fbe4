//! Redis away, hanging, and back.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use kefu_harness::redis::RedisServer;
use kefu_messages::plan::Plan;
use kefu_store::redis::open;
use kefu_store::{Claim, StoreError, StoredToken, Stores};
use secrecy::SecretString;

use super::{LONG, begin, key};
use crate::clock::eventually;

/// What a call may take in all.
const LIMIT: Duration = Duration::from_millis(300);

/// Every call of every seam, as what it fails with.
fn every_call(stores: &Stores) -> Vec<(&'static str, BoxFuture<'static, Option<StoreError>>)> {
    macro_rules! calls {
        ($($seam:ident . $method:ident ( $($argument:expr),* ))+) => {
            vec![$((concat!(stringify!($seam), ".", stringify!($method)), {
                let seam = stores.$seam.clone();
                Box::pin(async move { seam.$method($($argument),*).await.err() }) as BoxFuture<'static, _>
            })),+]
        };
    }
    calls! {
        probe.probe()
        claims.claim(&key(), "a", LONG)
        claims.complete(&key(), "", LONG)
        claims.release(&key(), "a")
        ledger.claim(&key(), "a", LONG, LONG)
        ledger.store_plan(&key(), 1, &Plan::default())
        ledger.begin(&key(), 1, 0, None, LONG)
        ledger.not_sent(&key(), 1, 0)
        ledger.sent(&key(), 1, 0, None)
        ledger.renew(&key(), 1, LONG)
        ledger.release(&key(), 1)
        ledger.done(&key(), 1, LONG)
        tokens.get("wx1")
        tokens.lock("wx1", "a", LONG)
        tokens.store("wx1", 1, &StoredToken { value: SecretString::from("token-1"), expires_in: LONG })
        tokens.unlock("wx1", "a")
        tokens.invalidate("wx1", &SecretString::from("token-1"))
        media.get("wx1", "abc123")
        media.put("wx1", "abc123", "media-1", LONG)
        media.forget("wx1", "abc123", "media-1")
    }
}

async fn fails_in_time(name: &str, call: BoxFuture<'static, Option<StoreError>>) {
    let begun = Instant::now();
    // On a busy machine every timer is late: this one tells how late.
    let limit = tokio::spawn(async move {
        tokio::time::sleep(LIMIT).await;
        begun.elapsed()
    });
    let error = call.await;
    let took = begun.elapsed();
    assert!(matches!(error, Some(StoreError::Unavailable(_))), "{name}: {error:?}");
    if took > LIMIT {
        let limit = limit.await.unwrap();
        assert!(took <= limit * 5 / 4, "{name} took {took:?}, where {LIMIT:?} took {limit:?}");
    }
}

/// One after the other, then all at once.
async fn every_call_fails_in_time(stores: &Stores) {
    for (name, call) in every_call(stores) {
        fails_in_time(name, call).await;
    }
    futures_util::future::join_all(every_call(stores).into_iter().map(|(name, call)| fails_in_time(name, call))).await;
}

async fn works_again(stores: &Stores) {
    eventually("the first answer", async || stores.probe.probe().await.ok()).await;
    for (name, call) in every_call(stores) {
        let error = call.await;
        assert!(error.is_none(), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn every_call_fails_in_time_when_redis_is_killed_and_works_when_it_is_back() {
    let (mut server, stores) = begin().await;
    works_again(&stores).await;
    server.kill();
    every_call_fails_in_time(&stores).await;
    server.restart().await;
    works_again(&stores).await;
}

#[tokio::test]
async fn every_call_fails_in_time_when_redis_hangs_and_works_when_it_goes_on() {
    let (server, stores) = begin().await;
    works_again(&stores).await;
    server.stop_signal();
    every_call_fails_in_time(&stores).await;
    server.cont_signal();
    works_again(&stores).await;
}

#[tokio::test]
async fn a_store_can_be_opened_before_redis_is_there() {
    let mut server = RedisServer::start().await;
    server.kill();
    let stores = open(&server.url()).await.unwrap();
    every_call_fails_in_time(&stores).await;
    server.restart().await;
    works_again(&stores).await;
}

#[tokio::test]
async fn to_open_a_store_is_not_to_wait_for_redis() {
    let server = RedisServer::start().await;
    server.stop_signal();
    let begun = Instant::now();
    let stores = open(&server.url()).await.unwrap();
    let opened = begun.elapsed();
    assert!(stores.probe.probe().await.is_err());
    let asked = begun.elapsed() - opened;
    assert!(opened < asked / 2, "opened in {opened:?}, where a call waits for {asked:?}");
    server.cont_signal();
}

/// The connection is dead and the scripts are gone, yet Redis is there: no reason to fail a call.
#[tokio::test]
async fn a_restart_between_two_calls_goes_unnoticed() {
    let (mut server, stores) = begin().await;
    assert_eq!(stores.claims.claim(&key(), "a", LONG).await.unwrap(), Claim::Won);
    server.kill();
    server.restart().await;
    assert_eq!(stores.claims.claim(&key(), "b", LONG).await.unwrap(), Claim::Pending);
}
