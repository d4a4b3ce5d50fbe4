//! Texts that were cut to fit the window. A replay sends them whole, and no other attempt does.

use kefu_messages::plan::Plan;
use kefu_messages::reply::split::Rest;
use kefu_messages::testing::plan;
use kefu_program::config::Ambiguous;
use kefu_store::testing::Entry;

use super::*;
use crate::testing::event;

/// A text in three parts for an event, and three replies after a message.
fn bench() -> Bench {
    let rule = "[window]\nmessage_replies = 3\n[[rule]]\nwhen = { event = \"order_sent\" }\nreply = [{ text = \"";
    Bench::with(&format!("{rule}{}\" }}]\n", long()))
}

fn long() -> String {
    "a".repeat(2_000) + &"b".repeat(2_000) + &"c".repeat(1_000)
}

fn order_sent() -> Envelope {
    event("oA", "order_sent", 1)
}

/// What becomes of the event after this number of replays.
async fn handle(handler: &Handler, replays: u32) -> Settled {
    let (mut delivery, watch) = delivery(Ok(order_sent()), 0);
    delivery.replays = replays;
    drop(handler.handle(delivery).await);
    watch.get()
}

fn is_dead(settled: &Settled) -> bool {
    matches!(settled, Settled::As(Settlement::Dead { .. }))
}

/// The texts of all sends after the first `before`, including those that WeChat refused.
fn tried(bench: &Bench, before: usize) -> Vec<String> {
    bench.wechat.texts_to("oA")[before..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_text_that_was_cut_is_whole_in_a_replay_and_stays_cut_until_then() {
    let bench = bench();
    bench.handle("oA", "hi").await;
    bench.wechat.errcode(SEND, -1);
    bench.wechat.errcode(SEND, 40_003);
    assert!(is_dead(&handle(&bench.handler, 0).await));
    let cut = tried(&bench, 1);
    assert!(cut.iter().all(|text| *text == "a".repeat(2_000)), "{cut:?}");
    // The user writes, and the message comes again by itself, as after a crash. The worker sends the stored plan.
    bench.handle("oA", "nothing").await;
    bench.wechat.answer(SEND, 200, r#"{"errcode":0}"#);
    bench.wechat.errcode(SEND, 40_003);
    assert!(is_dead(&handle(&bench.handler, 0).await));
    let (calls, sent) = (bench.wechat.texts_to("oA").len(), tried(&bench, 1 + cut.len()));
    assert!(sent[0] == "a".repeat(2_000) && sent[1].ends_with("b…"), "{sent:?}");
    // The first part is sent; only the other parts come with the replay.
    assert_eq!(handle(&bench.handler, 1).await, DONE);
    assert_eq!(tried(&bench, calls), ["b".repeat(2_000), "c".repeat(1_000)]);
}

#[tokio::test(start_paused = true)]
async fn in_a_replay_nothing_is_cut_and_what_wechat_does_not_take_is_dead_again() {
    let bench = bench();
    bench.handle("oA", "hi").await;
    // The window has two replies left, and the text has three parts.
    let settled = handle(&bench.handler, 1).await;
    assert!(matches!(settled, Settled::As(Settlement::Dead { reason: DeadReason::WindowClosed, .. })), "{settled:?}");
    bench.handle("oA", "nothing").await;
    assert_eq!(handle(&bench.handler, 2).await, DONE);
    assert_eq!(tried(&bench, 1).concat(), long());
}

/// The entry that a worker left for a dead message. The last two words of the text `one two three` are cut off.
fn left_behind(next_step: u32, begun: Option<u32>) -> Entry {
    let rests = vec![Rest { step: 1, text: "o three".to_owned() }];
    let plan = Plan { rests, ..plan(&["one ", "tw…", "end"]) };
    Entry { plan: Some(plan), next_step, begun, ..Entry::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_of_a_cut_text_is_not_sent_twice() {
    for (next_step, replays, expected) in [
        (0, 0, &["one ", "tw…", "end"][..]),
        (0, 1, &["one ", "two three", "end"]),
        (1, 1, &["two three", "end"]),
        (2, 0, &["end"]),
        (2, 1, &["o three", "end"]),
        (3, 1, &["o three"]),
    ] {
        let bench = Bench::new();
        bench.store.leave_behind(&order_sent().key, left_behind(next_step, None), seconds(0));
        assert_eq!(handle(&bench.handler, replays).await, DONE);
        assert_eq!(tried(&bench, 0), expected, "step {next_step}, replay {replays}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_step_whose_fate_is_not_known_is_sent_whole_or_counts_as_sent() {
    for (ambiguous, expected) in [(Ambiguous::Resend, ["two three", "end"]), (Ambiguous::Skip, ["o three", "end"])] {
        let word = if ambiguous == Ambiguous::Skip { "skip" } else { "resend" };
        let bench = Bench::with(&format!("[worker]\nambiguous = \"{word}\"\n"));
        bench.store.leave_behind(&order_sent().key, left_behind(1, Some(1)), seconds(0));
        assert_eq!(handle(&bench.handler, 1).await, DONE);
        assert_eq!(tried(&bench, 0), expected, "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_on_after_a_crash_in_a_replay_sends_the_same() {
    let bench = Bench::new();
    bench.store.leave_behind(&order_sent().key, left_behind(2, None), seconds(0));
    bench.wechat.answer(SEND, 200, r#"{"errcode":0}"#);
    bench.wechat.errcode(SEND, -1);
    // The crash comes in the wait for the second try of the replay's second send.
    let crash = tokio::time::timeout(Duration::from_millis(1), handle(&bench.handler, 1)).await;
    assert!(crash.is_err(), "{crash:?}");
    assert_eq!(handle(&bench.another_worker(), 1).await, DONE);
    assert_eq!(tried(&bench, 0), ["o three", "end", "end"], "the end was refused the first time");
}
