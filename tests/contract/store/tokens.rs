use std::time::Duration;

use kefu_store::{Fence, StoredToken, Stores, Written};
use secrecy::{ExposeSecret, SecretString};

use super::{CROWD, LONG, SHORT};
use crate::clock::{Lasting, eventually};

fn token(value: &str, expires_in: Duration) -> StoredToken {
    StoredToken { value: SecretString::from(value), expires_in }
}

async fn lock(stores: &Stores, appid: &str, owner: &str, lock_for: Duration) -> Option<Fence> {
    stores.tokens.lock(appid, owner, lock_for).await.unwrap()
}

async fn store(stores: &Stores, appid: &str, fence: Fence, value: &str) -> Written {
    stores.tokens.store(appid, fence, &token(value, LONG)).await.unwrap()
}

/// Locks, stores and unlocks, as a process does that fetched.
async fn fetched(stores: &Stores, appid: &str, value: &str) -> Fence {
    let fence = lock(stores, appid, "fetcher", LONG).await.unwrap();
    assert_eq!(store(stores, appid, fence, value).await, Written::Yes);
    stores.tokens.unlock(appid, "fetcher").await.unwrap();
    fence
}

async fn value(stores: &Stores, appid: &str) -> Option<String> {
    stores.tokens.get(appid).await.unwrap().map(|token| token.value.expose_secret().to_owned())
}

async fn invalidate(stores: &Stores, appid: &str, failed: &str) {
    stores.tokens.invalidate(appid, &SecretString::from(failed)).await.unwrap();
}

pub(super) async fn an_account_without_a_token_has_none(stores: &Stores) {
    assert_eq!(value(stores, "wx1").await, None);
    lock(stores, "wx1", "a", LONG).await.unwrap();
    assert_eq!(value(stores, "wx1").await, None, "a lock is no token");
}

pub(super) async fn a_stored_token_is_there_for_everybody(stores: &Stores) {
    fetched(stores, "wx1", "token-1").await;
    let found = stores.tokens.get("wx1").await.unwrap().unwrap();
    assert_eq!(found.value.expose_secret(), "token-1");
    assert!(found.expires_in <= LONG && found.expires_in > LONG / 2, "{:?}", found.expires_in);
}

pub(super) async fn a_token_of_any_length_is_kept(stores: &Stores) {
    let long = "76_å\"'\r\n".repeat(100);
    fetched(stores, "wx1", &long).await;
    assert_eq!(value(stores, "wx1").await, Some(long));
}

pub(super) async fn a_token_ends_after_its_time(stores: &Stores) {
    let fence = lock(stores, "wx1", "a", LONG).await.unwrap();
    let valid = Lasting::from_now(SHORT);
    assert_eq!(stores.tokens.store("wx1", fence, &token("token-1", SHORT)).await.unwrap(), Written::Yes);
    valid.ended("the end of the token", async || value(stores, "wx1").await.is_none().then_some(())).await;
}

pub(super) async fn one_owner_at_a_time_has_the_lock(stores: &Stores) {
    assert!(lock(stores, "wx1", "a", LONG).await.is_some());
    assert_eq!(lock(stores, "wx1", "b", LONG).await, None);
    assert_eq!(lock(stores, "wx1", "b", LONG).await, None, "asking does not take it");
}

pub(super) async fn the_owner_of_the_lock_may_take_it_again(stores: &Stores) {
    let first = lock(stores, "wx1", "a", LONG).await.unwrap();
    let second = lock(stores, "wx1", "a", LONG).await.unwrap();
    assert!(second > first);
    assert_eq!(lock(stores, "wx1", "b", LONG).await, None);
}

pub(super) async fn a_lock_ends_when_its_owner_does_nothing_more(stores: &Stores) {
    // A token beside it, so that nothing but the lock can end.
    fetched(stores, "wx1", "token-1").await;
    let held = Lasting::from_now(SHORT);
    let first = lock(stores, "wx1", "a", SHORT).await.unwrap();
    let second = held.ended("the end of the lock", async || lock(stores, "wx1", "b", LONG).await).await;
    assert!(second > first);
    assert_eq!(lock(stores, "wx1", "a", LONG).await, None, "it is the next owner's now");
}

pub(super) async fn an_unlocked_lock_is_free_at_once(stores: &Stores) {
    let first = lock(stores, "wx1", "a", LONG).await.unwrap();
    stores.tokens.unlock("wx1", "a").await.unwrap();
    stores.tokens.unlock("wx1", "a").await.unwrap();
    assert!(lock(stores, "wx1", "b", LONG).await.unwrap() > first);
}

pub(super) async fn unlocking_by_somebody_else_does_nothing(stores: &Stores) {
    stores.tokens.unlock("wx1", "b").await.unwrap();
    lock(stores, "wx1", "a", SHORT).await.unwrap();
    stores.tokens.unlock("wx1", "b").await.unwrap();
    let next = eventually("the end of the lock", async || lock(stores, "wx1", "b", LONG).await).await;
    stores.tokens.unlock("wx1", "a").await.unwrap();
    assert_eq!(lock(stores, "wx1", "c", LONG).await, None, "the late owner of an ended lock is somebody else");
    assert_eq!(store(stores, "wx1", next, "token-1").await, Written::Yes);
}

pub(super) async fn each_lock_raises_the_fence(stores: &Stores) {
    let mut last = 0;
    for round in 0..5 {
        let fence = fetched(stores, "wx1", &format!("token-{round}")).await;
        assert!(fence > last);
        last = fence;
        invalidate(stores, "wx1", &format!("token-{round}")).await;
    }
}

pub(super) async fn a_late_store_of_an_older_fence_is_refused(stores: &Stores) {
    let slow = lock(stores, "wx1", "a", SHORT).await.unwrap();
    let quick = eventually("the end of the lock", async || lock(stores, "wx1", "b", LONG).await).await;
    assert_eq!(store(stores, "wx1", quick, "token-2").await, Written::Yes);
    assert_eq!(store(stores, "wx1", slow, "token-1").await, Written::Fenced);
    assert_eq!(value(stores, "wx1").await.as_deref(), Some("token-2"));
}

pub(super) async fn a_store_may_be_made_twice(stores: &Stores) {
    let fence = lock(stores, "wx1", "a", LONG).await.unwrap();
    assert_eq!(store(stores, "wx1", fence, "token-1").await, Written::Yes);
    assert_eq!(store(stores, "wx1", fence, "token-1").await, Written::Yes);
    assert_eq!(value(stores, "wx1").await.as_deref(), Some("token-1"));
}

pub(super) async fn a_newer_token_takes_the_place_of_the_old(stores: &Stores) {
    fetched(stores, "wx1", "token-1").await;
    fetched(stores, "wx1", "token-2").await;
    assert_eq!(value(stores, "wx1").await.as_deref(), Some("token-2"));
}

pub(super) async fn a_failed_token_is_dropped(stores: &Stores) {
    invalidate(stores, "wx1", "token-1").await;
    fetched(stores, "wx1", "token-1").await;
    invalidate(stores, "wx1", "token-1").await;
    assert_eq!(value(stores, "wx1").await, None);
    invalidate(stores, "wx1", "token-1").await;
    // WeChat may give the same token again.
    fetched(stores, "wx1", "token-1").await;
    assert_eq!(value(stores, "wx1").await.as_deref(), Some("token-1"));
}

pub(super) async fn a_newer_token_survives_the_failure_of_the_old(stores: &Stores) {
    fetched(stores, "wx1", "token-1").await;
    fetched(stores, "wx1", "token-2").await;
    invalidate(stores, "wx1", "token-1").await;
    assert_eq!(value(stores, "wx1").await.as_deref(), Some("token-2"));
}

pub(super) async fn accounts_do_not_touch_each_other(stores: &Stores) {
    fetched(stores, "wx1", "token-1").await;
    assert_eq!(value(stores, "wx2").await, None);
    fetched(stores, "wx2", "token-1").await;
    assert!(lock(stores, "wx1", "a", LONG).await.is_some());
    assert!(lock(stores, "wx2", "b", LONG).await.is_some());
    stores.tokens.unlock("wx2", "a").await.unwrap();
    assert_eq!(lock(stores, "wx2", "c", LONG).await, None);
    invalidate(stores, "wx1", "token-1").await;
    assert_eq!(value(stores, "wx2").await.as_deref(), Some("token-1"));
}

pub(super) async fn of_many_who_lock_one_account_one_gets_it(stores: &Stores) {
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let tokens = stores.tokens.clone();
        crowd.spawn(async move { tokens.lock("wx1", &format!("owner-{number}"), LONG).await.unwrap() });
    }
    assert_eq!(crowd.join_all().await.into_iter().flatten().count(), 1);
}
