//! Leases and the ledger: messages that another worker left behind, keeps or takes, and a store that is unavailable.

use kefu_messages::testing::plan;
use kefu_store::testing::Entry;
use tokio::time::Instant;

use super::*;
use crate::testing::settle_down;

/// What a dead worker left of the message `hi` of the user `oA`, with a lease that still runs for `lease`.
fn left_behind(bench: &Bench, entry: Entry, lease: Duration) {
    bench.store.leave_behind(&key("oA", "hi"), entry, lease);
}

#[tokio::test(start_paused = true)]
async fn a_message_left_behind_goes_on_at_its_next_step_with_its_stored_plan() {
    let bench = Bench::new();
    let plan = Some(plan(&["old one", "old two", "old three"]));
    left_behind(&bench, Entry { plan, next_step: 1, ..Entry::default() }, seconds(0));
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["old two", "old three"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_steps_are_all_sent_is_only_marked_done() {
    let bench = Bench::new();
    left_behind(&bench, Entry { plan: Some(plan(&["old one"])), next_step: 1, ..Entry::default() }, seconds(0));
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert!(bench.wechat.calls(SEND).is_empty());
    assert!(bench.store.entry(&key("oA", "hi")).done);
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_dead_worker_is_waited_for_and_no_longer() {
    let bench = Bench::new();
    left_behind(&bench, Entry::default(), seconds(15));
    let start = Instant::now();
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    let waited = start.elapsed();
    assert!((seconds(15)..seconds(16)).contains(&waited), "{waited:?}");
    assert_eq!(bench.wechat.texts_to("oA"), ["您好"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_another_worker_keeps_comes_again_later() {
    let bench = Bench::new();
    left_behind(&bench, Entry::default(), seconds(3_600));
    assert!(matches!(bench.handle("oA", "hi").await, Settled::As(Settlement::Retry { .. })));
    assert!(bench.wechat.calls(SEND).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_message_sends_nothing_more() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(1));
    let stealing = async {
        // The call that sends the first step is under way.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(bench.wechat.texts_to("oA"), ["one"]);
        bench.store.steal(&key("oA", "three"));
    };
    let (settled, ()) = tokio::join!(bench.handle("oA", "three"), stealing);
    assert_eq!(bench.wechat.texts_to("oA"), ["one"]);
    assert_eq!(settled, Settled::GivenBack);
    assert!(bench.store.is_leased(&key("oA", "three")), "the thief's lease stands");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_loses_its_message_in_a_wait_stops_waiting() {
    let bench = Bench::new();
    bench.wechat.errcode(SEND, 45011);
    let start = Instant::now();
    let (settled, ()) =
        tokio::join!(bench.handle("oA", "hi"), after(seconds(1), || bench.store.steal(&key("oA", "hi"))));
    assert!(start.elapsed() <= seconds(6), "it renews its lease every 5 s: {:?}", start.elapsed());
    assert_eq!(settled, Settled::GivenBack);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_through_long_waits() {
    let bench = Bench::new();
    for _ in 0..3 {
        bench.wechat.answer(STABLE_TOKEN, 500, "");
    }
    bench.wechat.set_latency(seconds(9));
    let watching = async {
        tokio::time::sleep(seconds(1)).await;
        for _ in 0..26 {
            assert!(bench.store.is_leased(&key("oA", "hi")));
            tokio::time::sleep(seconds(1)).await;
        }
    };
    let (settled, ()) = tokio::join!(bench.handle("oA", "hi"), watching);
    assert_eq!(settled, DONE);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_the_store_is_down() {
    let bench = Bench::new();
    bench.store.set_down(true);
    let mending = async {
        tokio::time::sleep(seconds(300)).await;
        assert!(bench.wechat.calls(SEND).is_empty());
        bench.store.set_down(false);
    };
    let (settled, ()) = tokio::join!(bench.handle("oA", "hi"), mending);
    assert_eq!(settled, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["您好"]);
    assert!((500..=1_300).contains(&bench.store.refused()), "one call about every 0.4 s: {}", bench.store.refused());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_during_a_send_gets_the_record_when_it_is_back() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(1));
    let breaking = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        bench.store.set_down(true);
        tokio::time::sleep(seconds(120)).await;
        // A shutdown does not end this wait, since the send would stay unrecorded.
        bench.shutdown.cancel();
        settle_down().await;
        bench.store.set_down(false);
    };
    let (settled, ()) = tokio::join!(bench.handle("oA", "hi"), breaking);
    assert_eq!(settled, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["您好"]);
}
