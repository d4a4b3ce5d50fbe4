use kefu_messages::testing::unreadable;
use kefu_queue::{DeadReason, Settlement};
use tokio::time::Instant;

use super::*;
use crate::testing::queue::FakeQueue;
use crate::testing::wechat::SEND;
use crate::testing::{Bench, DONE, Settled, envelope, seconds, settle_down};
use crate::wechat::failure::Failure;

async fn until_all_are_done(queue: &FakeQueue) {
    let start = Instant::now();
    while !queue.states().iter().all(|state| *state == DONE) {
        assert!(start.elapsed() < seconds(120), "{:?}", queue.states());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn users_go_side_by_side_and_each_users_messages_in_order() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(1));
    let (queue, _running, _) = bench.dispatch();
    let start = Instant::now();
    for message in ["hi 1", "three 2", "hi 3"] {
        for user in 0..100 {
            queue.push("wx1", &format!("oU{user}"), message);
        }
    }
    until_all_are_done(&queue).await;
    // The worker makes one token fetch, and five sends for each user, one after the other (FakeWeChat fails on two at
    // once).
    assert!(start.elapsed() < seconds(7), "{:?}", start.elapsed());
    for user in 0..100 {
        assert_eq!(bench.wechat.texts_to(&format!("oU{user}")), ["您好", "one", "two", "three", "您好"]);
    }
    assert_eq!(bench.wechat.most_sending(), 100);
}

#[tokio::test(start_paused = true)]
async fn no_more_messages_are_in_work_at_once_than_configured() {
    let bench = Bench::with("[worker]\nconcurrency = 7");
    bench.wechat.set_latency(Duration::from_millis(100));
    let (queue, _running, _) = bench.dispatch();
    for user in 0..50 {
        queue.push("wx1", &format!("oU{user}"), "hi");
    }
    until_all_are_done(&queue).await;
    assert_eq!(bench.wechat.most_sending(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_holds_nobody_else_up() {
    let bench = Bench::with("[worker]\nconcurrency = 1");
    let (queue, _running, _) = bench.dispatch();
    bench.wechat.fail(SEND, Failure::Unanswered("timed out".into()));
    let slow = queue.push("wx1", "oSLOW", "hi");
    settle_down().await;
    assert_eq!(bench.wechat.texts_to("oSLOW").len(), 1);
    let others: Vec<_> = (0..10).map(|user| queue.push("wx1", &format!("oU{user}"), "hi")).collect();
    tokio::time::sleep(seconds(1)).await;
    assert!(others.iter().all(|other| other.get() == DONE));
    assert_eq!(slow.get(), Settled::Open);
    until_all_are_done(&queue).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_what_is_in_work_and_gives_the_rest_back_after_the_close() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(1));
    let (queue, running, _) = bench.dispatch();
    let in_work = queue.push("wx1", "oA", "three 1");
    let behind_it = queue.push("wx1", "oA", "hi 2");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    bench.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(queue.states_at_close(), [DONE, Settled::Open]);
    assert_eq!((in_work.get(), behind_it.get()), (DONE, Settled::GivenBack));
    assert_eq!(bench.wechat.texts_to("oA"), ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_the_grace_time_is_cut_off() {
    let bench = Bench::with("[worker]\ngrace_ms = 2000");
    bench.wechat.set_latency(seconds(60));
    let (queue, running, _) = bench.dispatch();
    let stuck = queue.push("wx1", "oA", "hi");
    tokio::time::sleep(seconds(1)).await;
    let start = Instant::now();
    bench.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), seconds(2));
    assert_eq!(stuck.get(), Settled::GivenBack);
}

#[tokio::test(start_paused = true)]
async fn messages_of_an_ended_session_are_not_begun() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(1));
    let (queue, _running, _) = bench.dispatch();
    let in_work = queue.push("wx1", "oA", "hi 1");
    let old = queue.push("wx1", "oA", "hi 2");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    in_work.session.cancel();
    old.session.cancel();
    // The queue delivers both messages again; the first message is done by then.
    let again = [queue.push("wx1", "oA", "hi 1"), queue.push("wx1", "oA", "hi 2")];
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(old.get(), Settled::GivenBack);
    assert!(again.iter().all(|again| again.get() == DONE));
    assert_eq!(bench.wechat.texts_to("oA").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_ends_by_itself_is_an_error_after_what_is_in_work() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(1));
    let (queue, running, health) = bench.dispatch();
    let in_work = queue.push("wx1", "oA", "hi");
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(queue);
    assert!(matches!(running.await.unwrap(), Err(WorkerError::ConsumerEnded)));
    assert_eq!(in_work.get(), DONE);
    assert!(matches!(*health.borrow(), Health::Down(_)));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_makes_its_handling_panic_takes_no_other_along() {
    let bench = Bench::new();
    bench.wechat.panic_at("oPOISON");
    let (queue, _running, _) = bench.dispatch();
    let (other, guilty) = (queue.push("wx1", "oA", "three"), queue.push("wx1", "oPOISON", "hi 1"));
    let behind = queue.push("wx1", "oPOISON", "hi 2");
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(other.get(), DONE);
    assert!(matches!(guilty.get(), Settled::As(Settlement::Retry { .. })), "{:?}", guilty.get());
    assert!(matches!(behind.get(), Settled::As(Settlement::Postpone { .. })), "it keeps its place: {:?}", behind.get());
}

#[tokio::test(start_paused = true)]
async fn the_queues_health_is_known_while_the_consumer_waits() {
    let bench = Bench::new();
    let (_queue, running, health) = bench.dispatch();
    assert!(matches!(*health.borrow(), Health::Down(_)));
    settle_down().await;
    assert_eq!(*health.borrow(), Health::Up);
    bench.shutdown.cancel();
    running.await.unwrap().unwrap();
    assert!(matches!(*health.borrow(), Health::Down(_)));
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_push_is_a_dead_letter_at_once_and_touches_nothing() {
    let bench = Bench::new();
    bench.store.set_down(true);
    let (queue, _running, _) = bench.dispatch();
    for (bytes, error) in [
        (b"".as_slice(), "the body is empty"),
        (b"{\"Content\":\"secret\"}", "the push has no FromUserName"),
        (b"[1]\xff", "the body is not a JSON object, but begins as a JSON array"),
    ] {
        let watch = queue.send(unreadable(bytes));
        settle_down().await;
        let error = error.to_owned();
        assert_eq!(watch.get(), Settled::As(Settlement::Dead { reason: DeadReason::Unreadable, error }));
    }
    assert_eq!(bench.store.refused(), 0, "the store was asked");
    assert!(bench.wechat.calls(SEND).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_push_that_can_be_read_by_now_is_handled_in_its_users_lane_under_its_own_key() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(1));
    let (queue, _running, _) = bench.dispatch();
    queue.push("wx1", "oA", "three 1");
    let late = unreadable(envelope("wx1", "oA", "hi 2").text().as_bytes());
    let key = late.key.clone();
    queue.send(late.clone());
    queue.push("wx1", "oA", "three 3");
    until_all_are_done(&queue).await;
    assert_eq!(bench.wechat.texts_to("oA"), ["one", "two", "three", "您好", "one", "two", "three"]);
    assert!(bench.store.entry(&key).done);
    // A copy of the late message is a duplicate.
    queue.send(late);
    until_all_are_done(&queue).await;
    assert_eq!(bench.wechat.texts_to("oA").len(), 7);
}
