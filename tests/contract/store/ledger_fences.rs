use kefu_messages::message_key::MessageKey;
use kefu_store::{Fence, Job, LedgerClaim, Stores, Written};

use super::ledger::{claim, claimed, plan, resumed};
use super::{LONG, SHORT, key};
use crate::clock::eventually;

/// Every fenced write but those that end the message, with what came of it.
async fn writes(stores: &Stores, key: &MessageKey, fence: Fence) -> Vec<(&'static str, Written)> {
    let ledger = &stores.ledger;
    vec![
        ("store_plan", ledger.store_plan(key, fence, &plan(&["late"])).await.unwrap()),
        ("begin", ledger.begin(key, fence, 1, Some(&plan(&["late"])), LONG * 100).await.unwrap()),
        ("not_sent", ledger.not_sent(key, fence, 0).await.unwrap()),
        ("sent", ledger.sent(key, fence, 0, None).await.unwrap()),
        ("renew", ledger.renew(key, fence, LONG * 100).await.unwrap()),
        ("release", ledger.release(key, fence).await.unwrap()),
    ]
}

async fn all_are_refused(stores: &Stores, key: &MessageKey, fence: Fence) {
    for (write, written) in writes(stores, key, fence).await {
        assert_eq!(written, Written::Fenced, "{write}");
    }
}

pub(super) async fn each_claim_raises_the_fence(stores: &Stores) {
    let first = claimed(stores, &key("1"), "a").await.fence;
    let second = claimed(stores, &key("1"), "a").await.fence;
    let third = resumed(stores, &key("1"), second).await.fence;
    assert!(first < second && second < third, "{first} {second} {third}");
}

pub(super) async fn no_write_of_an_old_fence_takes_effect(stores: &Stores) {
    let slow = claimed(stores, &key("1"), "a").await;
    let quick = resumed(stores, &key("1"), slow.fence).await;
    assert_eq!(stores.ledger.begin(&key("1"), quick.fence, 0, None, LONG).await.unwrap(), Written::Yes);

    all_are_refused(stores, &key("1"), slow.fence).await;
    assert_eq!(stores.ledger.done(&key("1"), slow.fence, LONG).await.unwrap(), Written::Fenced);
    assert_eq!(stores.ledger.sent(&key("1"), slow.fence, 0, Some(LONG)).await.unwrap(), Written::Fenced);

    match claim(stores, &key("1"), "c", LONG).await {
        LedgerClaim::Leased { for_at_most } => assert!(for_at_most <= LONG, "{for_at_most:?}"),
        other => panic!("the lease is {other:?}"),
    }
    let job = resumed(stores, &key("1"), quick.fence).await;
    assert_eq!(job, Job { fence: job.fence, plan: None, next_step: 0, ambiguous: true });
}

pub(super) async fn no_write_takes_effect_when_nobody_claimed(stores: &Stores) {
    all_are_refused(stores, &key("1"), 1).await;
    assert_eq!(stores.ledger.done(&key("1"), 1, LONG).await.unwrap(), Written::Fenced);
    assert_eq!(stores.ledger.sent(&key("1"), 1, 0, Some(LONG)).await.unwrap(), Written::Fenced);
    let job = claimed(stores, &key("1"), "a").await;
    assert_eq!(job, Job { fence: job.fence, plan: None, next_step: 0, ambiguous: false });
}

pub(super) async fn no_write_takes_effect_after_the_end(stores: &Stores) {
    let job = claimed(stores, &key("1"), "a").await;
    assert_eq!(stores.ledger.done(&key("1"), job.fence, LONG).await.unwrap(), Written::Yes);
    all_are_refused(stores, &key("1"), job.fence).await;
    assert_eq!(claim(stores, &key("1"), "a", LONG).await, LedgerClaim::Done);
}

pub(super) async fn the_fence_that_ended_a_message_may_say_so_again(stores: &Stores) {
    let slow = claimed(stores, &key("1"), "a").await;
    let quick = resumed(stores, &key("1"), slow.fence).await;
    for _ in 0..2 {
        assert_eq!(stores.ledger.done(&key("1"), quick.fence, LONG).await.unwrap(), Written::Yes);
        assert_eq!(stores.ledger.done(&key("1"), slow.fence, LONG).await.unwrap(), Written::Fenced);
        assert_eq!(stores.ledger.sent(&key("1"), quick.fence, 0, Some(LONG)).await.unwrap(), Written::Yes);
        assert_eq!(stores.ledger.sent(&key("1"), slow.fence, 0, Some(LONG)).await.unwrap(), Written::Fenced);
    }
}

pub(super) async fn a_fence_outlasts_its_lease_until_the_next_claim(stores: &Stores) {
    let LedgerClaim::Claimed(slow) = claim(stores, &key("1"), "a", SHORT).await else { panic!("not claimed") };
    // Begun later and as long: when this lease has ended, the first has as well.
    claim(stores, &key("2"), "a", SHORT).await;
    eventually("the end of the other lease", async || {
        matches!(claim(stores, &key("2"), "b", LONG).await, LedgerClaim::Claimed(_)).then_some(())
    })
    .await;
    assert_eq!(stores.ledger.sent(&key("1"), slow.fence, 0, None).await.unwrap(), Written::Yes);
    let quick = claimed(stores, &key("1"), "b").await;
    assert_eq!(quick.next_step, 1);
    assert_eq!(stores.ledger.sent(&key("1"), slow.fence, 1, None).await.unwrap(), Written::Fenced);
}
