use std::time::Duration;

use kefu_messages::message_key::MessageKey;
pub(super) use kefu_messages::testing::plan;
use kefu_store::{Fence, Job, LedgerClaim, Stores, Written};

use super::{CROWD, LONG, SHORT, key};
use crate::clock::{Lasting, eventually};

pub(super) async fn claim(stores: &Stores, key: &MessageKey, owner: &str, lease: Duration) -> LedgerClaim {
    stores.ledger.claim(key, owner, lease, LONG).await.unwrap()
}

/// Claims for a long time what must be free.
pub(super) async fn claimed(stores: &Stores, key: &MessageKey, owner: &str) -> Job {
    match claim(stores, key, owner, LONG).await {
        LedgerClaim::Claimed(job) => job,
        other => panic!("expected to claim, got {other:?}"),
    }
}

/// As when the worker `owner` died and its lease has ended: what the next worker finds.
pub(super) async fn resumed(stores: &Stores, key: &MessageKey, fence: Fence) -> Job {
    assert_eq!(stores.ledger.release(key, fence).await.unwrap(), Written::Yes);
    claimed(stores, key, "the-next-worker").await
}

fn leased_for(claim: &LedgerClaim) -> Duration {
    match claim {
        LedgerClaim::Leased { for_at_most } => *for_at_most,
        other => panic!("expected a lease, got {other:?}"),
    }
}

pub(super) async fn is_claimable(stores: &Stores, key: &MessageKey) -> Option<Job> {
    match claim(stores, key, "the-waiting-one", LONG).await {
        LedgerClaim::Claimed(job) => Some(job),
        _ => None,
    }
}

pub(super) async fn a_new_message_begins_at_its_first_step(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    assert_eq!(job, Job { fence: job.fence, plan: None, next_step: 0, ambiguous: false });
}

pub(super) async fn another_worker_is_told_how_long_the_lease_lasts(stores: &Stores) {
    claimed(stores, &key("1"), "a").await;
    let left = leased_for(&claim(stores, &key("1"), "b", SHORT).await);
    assert!(left <= LONG && left > LONG / 2, "{left:?}");
    let left = leased_for(&claim(stores, &key("1"), "b", SHORT).await);
    assert!(left <= LONG && left > LONG / 2, "asking does not change the lease: {left:?}");
}

pub(super) async fn a_lease_ends_when_its_worker_does_nothing_more(stores: &Stores) {
    let lease = Lasting::from_now(SHORT);
    claim(stores, &key("1"), "a", SHORT).await;
    lease.ended("the end of the lease", async || is_claimable(stores, &key("1")).await).await;
    assert!(matches!(claim(stores, &key("1"), "a", LONG).await, LedgerClaim::Leased { .. }));
}

pub(super) async fn a_worker_may_claim_its_own_message_again(stores: &Stores) {
    claim(stores, &key("1"), "a", SHORT).await;
    claimed(stores, &key("1"), "a").await;
    let left = leased_for(&claim(stores, &key("1"), "b", LONG).await);
    assert!(left > LONG / 2, "its lease begins anew: {left:?}");
}

pub(super) async fn a_released_message_can_be_claimed_at_once(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    assert_eq!(stores.ledger.release(&key("1"), job.fence).await.unwrap(), Written::Yes);
    claimed(stores, &key("1"), "b").await;
}

pub(super) async fn renewing_makes_the_lease_longer(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    assert_eq!(stores.ledger.renew(&key("1"), job.fence, LONG * 10).await.unwrap(), Written::Yes);
    assert!(leased_for(&claim(stores, &key("1"), "b", LONG).await) > LONG * 9);
}

pub(super) async fn a_message_that_is_done_stays_done(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    assert_eq!(stores.ledger.done(&key("1"), job.fence, LONG).await.unwrap(), Written::Yes);
    for owner in ["a", "b"] {
        assert_eq!(claim(stores, &key("1"), owner, LONG).await, LedgerClaim::Done);
    }
}

pub(super) async fn a_done_message_is_forgotten_after_its_time(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    assert_eq!(stores.ledger.store_plan(&key("1"), job.fence, &plan(&["old"])).await.unwrap(), Written::Yes);
    let kept = Lasting::from_now(SHORT);
    assert_eq!(stores.ledger.done(&key("1"), job.fence, SHORT).await.unwrap(), Written::Yes);
    let job = kept.ended("the end of the entry", async || is_claimable(stores, &key("1")).await).await;
    assert_eq!(job, Job { fence: job.fence, plan: None, next_step: 0, ambiguous: false });
}

/// The lease is longer than the entry is kept, so that asking changes nothing until the entry is gone.
pub(super) async fn an_open_message_is_forgotten_after_its_time(stores: &Stores) {
    let kept = Lasting::from_now(SHORT);
    stores.ledger.claim(&key("1"), "a", LONG, SHORT).await.unwrap();
    kept.ended("the end of the entry", async || is_claimable(stores, &key("1")).await).await;
}

pub(super) async fn each_claim_keeps_the_entry_anew(stores: &Stores) {
    stores.ledger.claim(&key("1"), "a", LONG, SHORT).await.unwrap();
    // Begun later and kept for as long: when this is gone, the first would be as well.
    stores.ledger.claim(&key("2"), "a", LONG, SHORT).await.unwrap();
    claimed(stores, &key("1"), "a").await;
    eventually("the end of the other entry", async || is_claimable(stores, &key("2")).await).await;
    assert!(matches!(claim(stores, &key("1"), "b", LONG).await, LedgerClaim::Leased { .. }));
}

pub(super) async fn messages_and_accounts_do_not_touch_each_other(stores: &Stores) {
    let others = [key("2"), MessageKey::from_text("wx2|gh_1|oUser|1"), MessageKey::from_text("wx1|gh_1|oOther|1")];
    let job = claimed(stores, &key("1"), "a").await;
    for other in &others {
        claimed(stores, other, "b").await;
    }
    assert_eq!(stores.ledger.store_plan(&key("1"), job.fence, &plan(&["1"])).await.unwrap(), Written::Yes);
    assert_eq!(stores.ledger.begin(&key("1"), job.fence, 0, None, LONG).await.unwrap(), Written::Yes);
    assert_eq!(stores.ledger.done(&key("1"), job.fence, LONG).await.unwrap(), Written::Yes);
    for other in &others {
        let job = claimed(stores, other, "b").await;
        assert_eq!(job, Job { fence: job.fence, plan: None, next_step: 0, ambiguous: false });
    }
}

pub(super) async fn of_many_who_claim_one_message_one_gets_it(stores: &Stores) {
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let ledger = stores.ledger.clone();
        crowd.spawn(async move { ledger.claim(&key("1"), &format!("worker-{number}"), LONG, LONG).await.unwrap() });
    }
    let found = crowd.join_all().await;
    assert_eq!(found.iter().filter(|claim| matches!(claim, LedgerClaim::Claimed(_))).count(), 1);
    assert_eq!(found.iter().filter(|claim| matches!(claim, LedgerClaim::Leased { .. })).count(), CROWD - 1);
}
