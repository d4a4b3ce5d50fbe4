use std::time::Duration;

use kefu_messages::message_key::MessageKey;
use kefu_store::{Claim, Stores};

use super::{CROWD, LONG, SHORT, key};
use crate::clock::Lasting;

async fn claim(stores: &Stores, key: &MessageKey, owner: &str, pending_for: Duration) -> Claim {
    stores.claims.claim(key, owner, pending_for).await.unwrap()
}

/// Completed with the usual answer.
fn done() -> Claim {
    Claim::Done { answer: String::new() }
}

/// Waits until somebody else wins the key.
async fn is_free(stores: &Stores, key: &MessageKey) -> Option<()> {
    (claim(stores, key, "the-waiting-one", LONG).await == Claim::Won).then_some(())
}

pub(super) async fn a_free_key_is_won(stores: &Stores) {
    assert_eq!(claim(stores, &key("1"), "a", LONG).await, Claim::Won);
}

pub(super) async fn a_taken_key_is_pending_for_others(stores: &Stores) {
    claim(stores, &key("1"), "a", LONG).await;
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Pending);
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Pending, "asking does not take it");
}

pub(super) async fn an_owner_wins_its_own_hold_again(stores: &Stores) {
    claim(stores, &key("1"), "a", LONG).await;
    assert_eq!(claim(stores, &key("1"), "a", LONG).await, Claim::Won);
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Pending);
}

pub(super) async fn a_hold_that_is_won_again_lasts_anew(stores: &Stores) {
    claim(stores, &key("1"), "a", SHORT).await;
    // Taken later and for as long: when this has ended, the first hold on the other would have as well.
    claim(stores, &key("2"), "a", SHORT).await;
    let first = claim(stores, &key("1"), "a", LONG).await;
    assert_eq!(first, Claim::Won);
    crate::clock::eventually("the end of the other hold", async || is_free(stores, &key("2")).await).await;
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Pending);
}

pub(super) async fn a_hold_ends_when_its_owner_does_nothing_more(stores: &Stores) {
    let hold = Lasting::from_now(SHORT);
    claim(stores, &key("1"), "a", SHORT).await;
    hold.ended("the end of the hold", async || is_free(stores, &key("1")).await).await;
    assert_eq!(claim(stores, &key("1"), "a", LONG).await, Claim::Pending, "it is the next owner's now");
}

pub(super) async fn a_released_key_is_free_at_once(stores: &Stores) {
    claim(stores, &key("1"), "a", LONG).await;
    stores.claims.release(&key("1"), "a").await.unwrap();
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Won);
}

pub(super) async fn a_release_by_somebody_else_does_nothing(stores: &Stores) {
    stores.claims.release(&key("1"), "b").await.unwrap();
    claim(stores, &key("1"), "a", LONG).await;
    stores.claims.release(&key("1"), "b").await.unwrap();
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Pending);
}

pub(super) async fn a_late_release_leaves_the_hold_of_the_next_owner(stores: &Stores) {
    claim(stores, &key("1"), "a", SHORT).await;
    crate::clock::eventually("the end of the hold", async || is_free(stores, &key("1")).await).await;
    stores.claims.release(&key("1"), "a").await.unwrap();
    assert_eq!(claim(stores, &key("1"), "c", LONG).await, Claim::Pending);
}

pub(super) async fn a_completed_key_is_done_for_everybody(stores: &Stores) {
    claim(stores, &key("1"), "a", LONG).await;
    stores.claims.complete(&key("1"), "", LONG).await.unwrap();
    assert_eq!(claim(stores, &key("1"), "a", LONG).await, done());
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, done());
    stores.claims.complete(&key("1"), "", LONG).await.unwrap();
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, done());
}

pub(super) async fn a_completed_key_keeps_its_answer(stores: &Stores) {
    let answer = "<xml><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>".to_owned();
    claim(stores, &key("1"), "a", LONG).await;
    stores.claims.complete(&key("1"), &answer, LONG).await.unwrap();
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Done { answer });
    stores.claims.complete(&key("1"), "", LONG).await.unwrap();
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, done());
}

pub(super) async fn a_key_is_completed_whoever_holds_it(stores: &Stores) {
    claim(stores, &key("1"), "a", SHORT).await;
    crate::clock::eventually("the end of the hold", async || is_free(stores, &key("1")).await).await;
    // `a` was slow, but its publish is confirmed now: that is true whoever holds the key.
    stores.claims.complete(&key("1"), "", LONG).await.unwrap();
    assert_eq!(claim(stores, &key("1"), "c", LONG).await, done());
}

pub(super) async fn a_key_is_completed_though_nobody_claimed_it(stores: &Stores) {
    stores.claims.complete(&key("1"), "", LONG).await.unwrap();
    assert_eq!(claim(stores, &key("1"), "a", LONG).await, done());
}

pub(super) async fn a_release_after_the_completion_does_nothing(stores: &Stores) {
    claim(stores, &key("1"), "a", LONG).await;
    stores.claims.complete(&key("1"), "", LONG).await.unwrap();
    stores.claims.release(&key("1"), "a").await.unwrap();
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, done());
}

pub(super) async fn a_completed_key_is_free_again_after_its_time(stores: &Stores) {
    claim(stores, &key("1"), "a", LONG).await;
    let done = Lasting::from_now(SHORT);
    stores.claims.complete(&key("1"), "", SHORT).await.unwrap();
    done.ended("the end of what was done", async || is_free(stores, &key("1")).await).await;
}

pub(super) async fn keys_and_accounts_do_not_touch_each_other(stores: &Stores) {
    let other_account = MessageKey::from_text("wx2|gh_1|oUser|1");
    let other_user = MessageKey::from_text("wx1|gh_1|oOther|1");
    claim(stores, &key("1"), "a", LONG).await;
    for free in [&key("2"), &other_account, &other_user] {
        assert_eq!(claim(stores, free, "b", LONG).await, Claim::Won);
    }
    stores.claims.complete(&key("1"), "", LONG).await.unwrap();
    for held in [&key("2"), &other_account, &other_user] {
        assert_eq!(claim(stores, held, "c", LONG).await, Claim::Pending);
        stores.claims.release(held, "b").await.unwrap();
    }
    assert_eq!(claim(stores, &key("1"), "c", LONG).await, done());
}

pub(super) async fn of_many_who_claim_one_key_one_wins(stores: &Stores) {
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CROWD {
        let claims = stores.claims.clone();
        crowd.spawn(async move { claims.claim(&key("1"), &format!("owner-{number}"), LONG).await.unwrap() });
    }
    let found = crowd.join_all().await;
    assert_eq!(found.iter().filter(|claim| **claim == Claim::Won).count(), 1);
    assert_eq!(found.iter().filter(|claim| **claim == Claim::Pending).count(), CROWD - 1);
}

pub(super) async fn the_claims_of_a_thread_are_those_of_all(stores: &Stores) {
    let local = stores.claims.clone().local();
    assert_eq!(local.claim(&key("1"), "a", LONG).await.unwrap(), Claim::Won);
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, Claim::Pending);
    local.complete(&key("1"), "", LONG).await.unwrap();
    assert_eq!(claim(stores, &key("1"), "b", LONG).await, done());
    assert_eq!(claim(stores, &key("2"), "b", LONG).await, Claim::Won);
    assert_eq!(local.claim(&key("2"), "a", LONG).await.unwrap(), Claim::Pending);
    stores.claims.release(&key("2"), "b").await.unwrap();
    assert_eq!(local.claim(&key("2"), "a", LONG).await.unwrap(), Claim::Won);
}
