#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use kefu_messages::envelope::{Answered, Envelope};
use kefu_queue::Settlement;
use kefu_wechat::push::Push;

use crate::lanes::dispatch::dispatch;
use crate::testing::queue::{self, Settled, delivery, envelope};
use crate::testing::wechat::SEND;
use crate::testing::{Bench, seconds};
use kefu_store::testing::Entry;

use super::*;

const DONE: Settled = Settled::As(Settlement::Done);

/// As many replies as a rule of the bench has at most, and a rule for events, which open no window.
const LIMITS: &str = "[window]\nmessage_replies = 3\n[[rule]]\nwhen = { event = \"order_paid\" }\nreply = [{ text = \"paid\" }]\n\
    [[rule]]\nwhen = { event = \"user_enter_tempsession\" }\nreply = [{ text = \"welcome\" }]\n";

fn event(user: &str, name: &str, number: u32) -> Envelope {
    let raw = serde_json::json!({
        "FromUserName": user, "CreateTime": number, "MsgType": "event", "Event": name, "SessionFrom": "",
    });
    let raw = raw.to_string();
    Envelope::of_push("wx1", Push::parse(&raw).unwrap(), raw, clock::now_ms())
}

async fn handle(bench: &Bench, envelope: Envelope) -> Settled {
    let (delivery, watch) = delivery(Ok(envelope), 0);
    bench.run(delivery).await;
    watch.get()
}

/// The error of a message that is dead because of its window.
fn closed(settled: &Settled) -> &str {
    match settled {
        Settled::As(Settlement::Dead { reason: DeadReason::WindowClosed, error }) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_reply_too_many_is_dead_without_a_call_until_the_user_writes_again() {
    let bench = Bench::with(LIMITS);
    assert_eq!(bench.handle("oA", "three").await, DONE);
    let settled = handle(&bench, event("oA", "order_paid", 1)).await;
    assert!(closed(&settled).contains("3 were sent since the user wrote"), "{settled:?}");
    assert_eq!(bench.wechat.texts_to("oA"), ["one", "two", "three"]);

    // This message gets no reply, and opens the window all the same. Then the dead letter is replayed.
    assert_eq!(bench.handle("oA", "nothing").await, DONE);
    assert_eq!(handle(&bench, event("oA", "order_paid", 1)).await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["one", "two", "three", "paid"]);
    assert_eq!(handle(&bench, event("oB", "order_paid", 1)).await, DONE, "others have windows of their own");
}

#[tokio::test(start_paused = true)]
async fn what_wechat_says_of_a_window_is_believed_until_the_user_writes_again() {
    for errcode in [45_015, 45_047] {
        let bench = Bench::with(LIMITS);
        assert_eq!(bench.handle("oA", "nothing").await, DONE);
        bench.wechat.errcode(SEND, errcode);
        let settled = handle(&bench, event("oA", "order_paid", 1)).await;
        assert!(closed(&settled).contains(&errcode.to_string()), "{settled:?}");
        let settled = handle(&bench, event("oA", "order_paid", 2)).await;
        assert!(closed(&settled).contains(&format!("({errcode})")), "{settled:?}");
        assert_eq!(bench.wechat.calls(SEND).len(), 1);
        assert_eq!(bench.handle("oA", "hi").await, DONE);
        assert_eq!(handle(&bench, event("oA", "order_paid", 2)).await, DONE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_closes_nothing_for_a_user_of_whom_no_message_is_known() {
    for errcode in [45_015, 45_047] {
        let bench = Bench::with(LIMITS);
        bench.wechat.errcode(SEND, errcode);
        let settled = handle(&bench, event("oA", "order_paid", 1)).await;
        assert!(closed(&settled).contains("answered errcode"), "{settled:?}");
        // The user may have written to somebody else meanwhile.
        assert_eq!(handle(&bench, event("oA", "order_paid", 2)).await, DONE);
        assert_eq!(bench.wechat.calls(SEND).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_entering_is_sent_in_time_or_not_at_all() {
    let bench = Bench::with(LIMITS);
    let entered = |age_s: u64| {
        let fresh = event("oA", "user_enter_tempsession", age_s as u32);
        Envelope { received_at_ms: fresh.received_at_ms - age_s * 1_000, ..fresh }
    };
    assert_eq!(handle(&bench, entered(50)).await, DONE);
    // The clock of the ingress that received the push may be some seconds behind.
    assert_eq!(handle(&bench, entered(63)).await, DONE);
    let settled = handle(&bench, entered(67)).await;
    assert!(closed(&settled).contains("entered the session 67 s before"), "{settled:?}");
    assert_eq!(bench.wechat.texts_to("oA"), ["welcome", "welcome"]);
    // The user has written since, and an operator replays the dead letter.
    assert_eq!(bench.handle("oA", "nothing").await, DONE);
    assert_eq!(handle(&bench, entered(67)).await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["welcome", "welcome", "welcome"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_dead_letter_is_sent_when_the_user_wrote_since() {
    let bench = Bench::with(LIMITS);
    let old = envelope("wx1", "oA", "hi");
    let old = Envelope { received_at_ms: old.received_at_ms - 49 * 3_600_000, ..old };
    closed(&handle(&bench, old.clone()).await);
    assert_eq!(bench.handle("oA", "nothing").await, DONE);
    assert_eq!(handle(&bench, old).await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["您好"]);
}

#[tokio::test(start_paused = true)]
async fn with_a_later_message_waiting_it_is_wechat_who_decides() {
    let bench = Bench::with(LIMITS);
    assert_eq!(bench.handle("oA", "three").await, DONE);
    bench.wechat.set_latency(seconds(1));
    let (queue, consumer) = queue::queue();
    let running = dispatch(
        Arc::clone(&bench.handler),
        consumer,
        tokio::sync::watch::Sender::new(kefu_runtime::health::Health::Up),
        bench.shutdown.clone(),
        bench.config.worker.grace,
    );
    let running = tokio::spawn(running);
    // The first message keeps the lane while the others come.
    let first = queue.push("wx1", "oA", "hi 1");
    let paid: Vec<_> = (1..=3).map(|number| queue.send(event("oA", "order_paid", number))).collect();
    let last = queue.push("wx1", "oA", "hi 2");
    tokio::time::sleep(seconds(60)).await;
    assert!([first, last].iter().chain(&paid).all(|watch| watch.get() == DONE), "{:?}", queue.states());
    assert_eq!(bench.wechat.calls(SEND).len(), 3 + 1 + 3 + 1);
    // No message waits any more.
    let one = queue.send(event("oA", "order_paid", 4));
    let two = queue.send(event("oA", "order_paid", 5));
    let three = queue.send(event("oA", "order_paid", 6));
    tokio::time::sleep(seconds(60)).await;
    assert_eq!([one.get(), two.get()], [DONE, DONE]);
    closed(&three.get());
    bench.shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_delivered_again_is_charged_for_what_it_sends_only() {
    let bench = Bench::with(LIMITS);
    bench.wechat.answer(SEND, 200, r#"{"errcode":0,"errmsg":"ok"}"#);
    bench.wechat.errcode(SEND, 40_003);
    assert!(matches!(bench.handle("oA", "three").await, Settled::As(Settlement::Dead { .. })));
    // The worker repeats a send that was recorded too late, and the window counts no step twice.
    let key = envelope("wx1", "oA", "three").key;
    let entry = Entry { begun: Some(0), next_step: 0, ..bench.store.entry(&key) };
    bench.store.leave_behind(&key, entry, seconds(0));
    assert_eq!(bench.handle("oA", "three").await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["one", "two", "one", "two", "three"]);
    closed(&handle(&bench, event("oA", "order_paid", 1)).await);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_known_of_a_user_who_is_with_the_human_agents() {
    let bench = Bench::with(LIMITS);
    assert_eq!(bench.handle("oA", "three").await, DONE);
    let transferred = Envelope { answered: Some(Answered::Transfer), ..envelope("wx1", "oA", "to an agent, please") };
    assert_eq!(handle(&bench, transferred).await, DONE);
    for number in 1..=9 {
        assert_eq!(handle(&bench, event("oA", "order_paid", number)).await, DONE, "the user may be writing to them");
    }
    // An earlier message that comes late or again does not make the window known again. Neither does a message that was
    // pushed while the user waited for an agent.
    for (text, first) in [("three", 0), ("three, please", 100)] {
        let late = envelope("wx1", "oA", text);
        handle(&bench, Envelope { received_at_ms: late.received_at_ms - 120_000, ..late }).await;
        for number in 11..=19 {
            let paid = event("oA", "order_paid", number + first);
            assert_eq!(handle(&bench, paid).await, DONE);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_dead_letter_of_a_user_who_is_with_the_human_agents_is_tried_and_an_old_welcome_is_not() {
    let bench = Bench::with(LIMITS);
    let transferred = Envelope { answered: Some(Answered::Transfer), ..envelope("wx1", "oA", "to an agent, please") };
    assert_eq!(handle(&bench, transferred).await, DONE);
    let old = |envelope: Envelope| Envelope { received_at_ms: envelope.received_at_ms - 49 * 3_600_000, ..envelope };
    assert_eq!(handle(&bench, old(envelope("wx1", "oA", "hi"))).await, DONE);
    closed(&handle(&bench, old(event("oA", "user_enter_tempsession", 1))).await);
}

#[tokio::test(start_paused = true)]
async fn a_decision_of_a_webhook_does_not_make_a_user_unknown() {
    let bench = Bench::with(LIMITS);
    assert_eq!(bench.handle("oA", "three").await, DONE);
    let decided = Envelope { answered: Some(Answered::Webhook), ..event("oA", "user_enter_tempsession", 1) };
    assert_eq!(handle(&bench, decided).await, DONE);
    for number in 1..=2 {
        assert_eq!(handle(&bench, event("oA", "order_paid", number)).await, DONE, "as the user has entered");
    }
    closed(&handle(&bench, event("oA", "order_paid", 3)).await);
}

/// A bench with a rule that answers an event with a text of three parts, more than the window has room for.
fn with_long_text() -> Bench {
    let rule = "[[rule]]\nwhen = { event = \"order_sent\" }\nreply = [{ text = \"";
    Bench::with(&format!("{LIMITS}{rule}{}\" }}]\n", "x".repeat(5_000)))
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_cut_to_what_is_left_in_the_window() {
    let bench = with_long_text();
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert_eq!(handle(&bench, event("oA", "order_sent", 1)).await, DONE);
    let texts = bench.wechat.texts_to("oA");
    assert_eq!(texts.len(), 3);
    assert!(texts[1] == "x".repeat(2_000) && texts[2].ends_with("x…") && texts[2].len() <= 2_000, "{texts:?}");
    // This user's window is unknown.
    assert_eq!(handle(&bench, event("oB", "order_sent", 1)).await, DONE);
    assert_eq!(bench.wechat.texts_to("oB").concat(), "x".repeat(5_000));
}

#[tokio::test(start_paused = true)]
async fn a_long_text_for_which_nothing_is_left_is_whole_when_the_user_has_written_again() {
    let bench = with_long_text();
    assert_eq!(bench.handle("oA", "three").await, DONE);
    closed(&handle(&bench, event("oA", "order_sent", 1)).await);
    assert_eq!(bench.handle("oA", "nothing").await, DONE);
    assert_eq!(handle(&bench, event("oA", "order_sent", 1)).await, DONE);
    assert_eq!(bench.wechat.texts_to("oA")[3..].concat(), "x".repeat(5_000));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_forgot_everything_forbids_nothing() {
    let bench = Bench::with(LIMITS);
    assert_eq!(bench.handle("oA", "three").await, DONE);
    bench.store.forget_windows();
    assert_eq!(handle(&bench, event("oA", "order_paid", 1)).await, DONE);
}
