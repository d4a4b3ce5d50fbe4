use std::time::Duration;

use kefu_messages::envelope::{Answered, EnvelopeError};
use kefu_queue::{RETRY_DELAYS, Settlement};

use super::*;
use crate::testing::wechat::{SEND, STABLE_TOKEN};
use crate::testing::{Bench, DONE, Settled, after, delivery, envelope, handle, key, reason, received, seconds};
use crate::wechat::failure::Failure;

mod leases;
mod replays;

#[tokio::test(start_paused = true)]
async fn a_text_is_answered_and_the_message_done() {
    let bench = Bench::new();
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    let sends = bench.wechat.calls(SEND);
    assert_eq!(sends.len(), 1);
    assert_eq!(sends[0].query["access_token"], "T1");
    assert_eq!(sends[0].body, serde_json::json!({"touser":"oA","msgtype":"text","text":{"content":"您好"}}));
    assert!(bench.store.entry(&key("oA", "hi")).done);
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_a_plan_are_sent_in_order() {
    let bench = Bench::new();
    assert_eq!(bench.handle("oA", "three please").await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn what_no_rule_matches_is_done_without_a_call() {
    let bench = Bench::new();
    assert_eq!(bench.handle("oA", "nothing").await, DONE);
    assert!(bench.wechat.calls(SEND).is_empty() && bench.wechat.calls(STABLE_TOKEN).is_empty());
    assert!(bench.store.entry(&key("oA", "nothing")).done);
}

#[tokio::test(start_paused = true)]
async fn what_ingress_has_answered_is_settled_without_a_word_to_anybody() {
    let bench = Bench::new();
    for account in ["wx1", "wx9"] {
        let envelope = Envelope { answered: Some(Answered::Transfer), ..envelope(account, "oA", "hi") };
        assert_eq!(bench.handle_envelope(envelope).await, DONE, "{account}");
    }
    assert!(bench.wechat.calls(SEND).is_empty() && bench.wechat.calls(STABLE_TOKEN).is_empty());
    // The answered push does not count as the message either: a copy that ingress did not answer gets its replies.
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["您好"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_late_for_a_transfer_gets_the_next_rule_that_matches() {
    let transfer = |when: &str| format!("[[rule]]\nwhen = {{ contains = \"{when}\" }}\ntransfer = true\n");
    let rules = transfer("human")
        + &transfer("agent")
        + "[[rule]]\nwhen = { regex = \"human\" }\nreply = [{ text = \"late\" }]";
    let bench = Bench::with(&rules);
    assert_eq!(bench.handle("oA", "a human").await, DONE);
    assert_eq!(bench.handle("oB", "an agent").await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["late"]);
    assert!(bench.wechat.texts_to("oB").is_empty());
    assert!(bench.store.entry(&key("oB", "an agent")).done);
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_of_a_message_sends_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["您好"]);
}

#[tokio::test(start_paused = true)]
async fn what_waited_longer_than_any_window_is_dead_and_nothing_of_it_is_sent() {
    let bench = Bench::new();
    for (hours, texts) in [(47, 1), (49, 0)] {
        let user = format!("o{hours}");
        let settled = bench.handle_envelope(received(seconds(hours * 3_600), envelope("wx1", &user, "hi"))).await;
        assert_eq!(bench.wechat.texts_to(&user).len(), texts);
        assert_eq!(settled == DONE, texts == 1, "{settled:?}");
        assert!(texts == 1 || reason(&settled) == DeadReason::WindowClosed, "{settled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_dead() {
    let bench = Bench::new();
    let broken = Err(EnvelopeError::Malformed("line 1 column 1".into()));
    assert_eq!(reason(&handle(&bench.handler, broken, 0).await), DeadReason::Undecodable);
}

/// Retries a message through all waits, after which the message is dead.
async fn goes_through_the_retry_delays(bench: &Bench, envelope: &Result<Envelope, EnvelopeError>) -> DeadReason {
    for (attempt, delay) in (0..).zip(RETRY_DELAYS) {
        let settled = handle(&bench.handler, envelope.clone(), attempt).await;
        assert!(matches!(&settled, Settled::As(Settlement::Retry { after, .. }) if *after == delay), "{settled:?}");
    }
    reason(&handle(&bench.handler, envelope.clone(), 5).await)
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_worker_could_handle_is_given_time_to_meet_one() {
    let bench = Bench::new();
    let unknown = Ok(envelope("wx9", "oA", "hi"));
    assert_eq!(goes_through_the_retry_delays(&bench, &unknown).await, DeadReason::UnknownAccount);
    let newer = Err(EnvelopeError::Version { found: 4 });
    assert_eq!(goes_through_the_retry_delays(&bench, &newer).await, DeadReason::Undecodable);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_makes_its_handling_panic_is_dead_in_the_end() {
    let bench = Bench::new();
    bench.wechat.panic_at("oA");
    let poison = Ok(envelope("wx1", "oA", "hi"));
    assert_eq!(goes_through_the_retry_delays(&bench, &poison).await, DeadReason::Crashed);
    assert_eq!(bench.handle("oB", "hi").await, DONE);
}

#[test]
fn a_trace_id_is_taken_from_nothing_but_a_traceparent() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
    let long = "x".repeat(32);
    for other in ["", "00", "00-abc-01", &format!("00-{long}-00f067aa0ba902b7-01"), &long] {
        assert_eq!(trace_id(other), None, "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_waits_in_the_queue_grow_and_end_in_a_dead_letter() {
    let bench = Bench::new();
    let delays = RETRY_DELAYS;
    bench.wechat.fail_always(STABLE_TOKEN, &Failure::Passing("no picture".into()));
    for (attempt, delay) in (0..).zip(delays) {
        let settled = bench.handle_attempt("oA", "hi", attempt).await;
        assert_eq!(settled, Settled::As(Settlement::Retry { after: delay, error: "no picture".into() }));
    }
    let settled = bench.handle_attempt("oA", "hi", 5).await;
    assert_eq!(reason(&settled), DeadReason::Exhausted);
    assert!(!bench.store.is_leased(&key("oA", "hi")));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_wait_and_frees_the_message_for_the_next_worker() {
    let bench = Bench::new();
    bench.wechat.fail(SEND, Failure::Unanswered("cut".into()));
    let (delivery, watch) = delivery(Ok(envelope("wx1", "oA", "hi")), 0);
    let (given_back, ()) = tokio::join!(bench.handler.handle(delivery), after(seconds(2), || bench.shutdown.cancel()));
    assert_eq!(watch.get(), Settled::Open, "it is given back with the others, when the consumer closes");
    drop(given_back);
    assert_eq!(watch.get(), Settled::GivenBack);
    assert!(!bench.store.is_leased(&key("oA", "hi")));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_deliverys_session() {
    let bench = Bench::new();
    bench.wechat.fail(SEND, Failure::Unanswered("cut".into()));
    let (delivery, watch) = delivery(Ok(envelope("wx1", "oA", "hi")), 0);
    tokio::join!(bench.run(delivery), after(seconds(2), || watch.session.cancel()));
    assert_eq!(watch.get(), Settled::GivenBack);
    assert!(!bench.store.is_leased(&key("oA", "hi")));
    assert_eq!(bench.wechat.texts_to("oA").len(), 1);
}
