use kefu_messages::envelope::Envelope;
use kefu_messages::session::UserKey;
use kefu_queue::Settlement;
use kefu_store::Place;

use super::*;
use crate::testing::wechat::SEND;
use crate::testing::{Bench, DONE, Settled, delivery, envelope, event, handle, seconds, settle_down};
use crate::wechat::failure::Failure;

/// Records the message as absent from now on.
async fn leave(bench: &Bench, envelope: &Envelope) {
    leave_after(bench, envelope, Duration::ZERO).await;
}

/// Does the same as [`leave`], for a message on which work began `begun_ago`.
async fn leave_after(bench: &Bench, envelope: &Envelope, begun_ago: Duration) {
    let user = UserKey::of(envelope);
    bench.handler.order.store.leave(&user, &envelope.key, begun_ago, LEDGER_KEEPS_FOR).await.unwrap();
}

fn is_postponed(settled: &Settled) -> bool {
    matches!(settled, Settled::As(Settlement::Postpone { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_in_the_queue_until_the_one_before_is_done_or_its_time_is_over() {
    let bench = Bench::new();
    leave(&bench, &envelope("wx1", "oA", "hi 1")).await;
    assert!(is_postponed(&bench.handle("oA", "hi 2").await));
    assert_eq!(bench.handle("oB", "hi").await, DONE);
    assert_eq!(bench.handle("oA", "hi 1").await, DONE);
    assert_eq!(bench.handle("oA", "hi 2").await, DONE);

    leave(&bench, &envelope("wx1", "oA", "hi 3")).await;
    assert!(is_postponed(&bench.handle("oA", "hi 4").await));
    tokio::time::sleep(RETRY_TOTAL).await;
    assert_eq!(bench.handle("oA", "hi 4").await, DONE);
}

#[tokio::test(start_paused = true)]
async fn a_welcome_does_not_stay_behind() {
    let bench =
        Bench::with("[[rule]]\nwhen = { event = \"user_enter_tempsession\" }\nreply = [{ text = \"welcome\" }]");
    leave(&bench, &envelope("wx1", "oA", "hi")).await;
    assert_eq!(bench.handle_envelope(event("oA", "user_enter_tempsession", 1)).await, DONE);
    assert_eq!(bench.wechat.calls(SEND).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_minute_in_the_lane_is_not_followed_by_another_one_in_the_queue() {
    let bench = Bench::new();
    leave_after(&bench, &envelope("wx1", "oA", "hi 1"), RETRY_TOTAL).await;
    assert_eq!(bench.handle("oA", "hi 2").await, DONE);
}

#[tokio::test(start_paused = true)]
async fn the_next_owner_of_the_lane_knows_which_messages_are_in_the_queue_again() {
    let bench = Bench::new();
    let first = envelope("wx1", "oA", "hi 1");
    leave(&bench, &first).await;
    let another = bench.another_worker();
    let handle = async |text: &str| handle(&another, Ok(envelope("wx1", "oA", text)), 0).await;
    assert!(is_postponed(&handle("hi 2").await) && is_postponed(&handle("hi 3").await));
    assert_eq!(handle("hi 1").await, DONE);
    assert!(is_postponed(&handle("hi 3").await), "the second one is still to come");
    assert_eq!(handle("hi 2").await, DONE);
    assert_eq!(handle("hi 3").await, DONE);
    let place = bench.handler.order.store.place(&UserKey::of(&first), &first.key).await.unwrap();
    assert_eq!(place, Place::default(), "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_handling_panics_or_whose_account_is_unknown_goes_first_when_it_comes_back() {
    let bench = Bench::new();
    bench.wechat.panic_at("oA");
    let panics = bench.handle("oA", "hi 1").await;
    assert!(matches!(panics, Settled::As(Settlement::Retry { .. })), "{panics:?}");
    assert!(is_postponed(&bench.handle("oA", "hi 2").await));

    let unknown = bench.handle_envelope(envelope("wx3", "oA", "hi 1")).await;
    assert!(matches!(unknown, Settled::As(Settlement::Retry { .. })));
    let next = envelope("wx3", "oA", "hi 2");
    let place = bench.handler.order.store.place(&UserKey::of(&next), &next.key).await.unwrap();
    assert!(place.earlier_begun_ago.is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_dead_letter_or_for_a_message_that_was_sent_before_a_crash() {
    let bench = Bench::new();
    leave(&bench, &envelope("wx1", "oA", "hi 1")).await;
    bench.wechat.errcode(SEND, 40003);
    assert!(matches!(bench.handle("oA", "hi 1").await, Settled::As(Settlement::Dead { .. })));
    assert_eq!(bench.handle("oA", "hi 2").await, DONE);
    leave(&bench, &envelope("wx1", "oA", "hi 2")).await;
    assert!(is_postponed(&bench.handle("oA", "hi 3").await));
    assert_eq!(bench.handle("oA", "hi 2").await, DONE, "a duplicate");
    assert_eq!(bench.handle("oA", "hi 3").await, DONE);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_for_a_slot_that_was_left() {
    let bench = Bench::with("[worker]\nconcurrency = 1");
    let handle = |user: &str| {
        let ((delivery, _), handler) = (delivery(Ok(envelope("wx1", user, "hi")), 0), bench.handler.clone());
        tokio::spawn(async move { handler.handle(delivery).await.is_some() })
    };
    bench.wechat.fail(SEND, Failure::Unanswered("timed out".into()));
    let waits = handle("oWAITS");
    settle_down().await;
    bench.wechat.set_latency(seconds(600));
    let sends = handle("oSENDS");
    tokio::time::sleep(seconds(30)).await;
    assert!(!waits.is_finished(), "the other one has the slot");
    bench.shutdown.cancel();
    let given_back = tokio::time::timeout(seconds(1), waits).await;
    assert!(given_back.unwrap().unwrap() && !sends.is_finished());
    sends.abort();
}
