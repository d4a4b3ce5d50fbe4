#![allow(clippy::unwrap_used, clippy::panic)]

use kefu_shared::openid::OpenId;
use kefu_shared::queue::Settlement;
use kefu_shared::wechat::push::Content;

use super::*;
use crate::testing::queue::{self, Settled, delivery};
use crate::testing::wechat::SEND;
use crate::testing::{Bench, seconds, settle_down};
use crate::wechat::failure::Failure;

const PATIENCE: Duration = Duration::from_secs(60);

fn lane(user: &str) -> LaneKey {
    LaneKey::User { account: "wx1".to_owned(), user: OpenId::new(user.to_owned()) }
}

fn key(id: &str) -> MessageKey {
    MessageKey::of_send("wx1", id)
}

fn add(away: &Away, lane: &LaneKey, message: &MessageKey) {
    away.add(lane.clone(), message, Instant::now());
}

#[tokio::test(start_paused = true)]
async fn a_users_later_messages_wait_and_nobody_else_does() {
    let away = Away::default();
    let (anna, first, second, third) = (lane("oANNA"), key("1"), key("2"), key("3"));
    let waits = |message: &MessageKey| away.any_before(&anna, message, PATIENCE);
    assert!(!waits(&first));
    add(&away, &anna, &first);
    assert!(!waits(&first), "it does not wait for itself when it comes back");
    assert!(waits(&second));
    assert!(!away.any_before(&lane("oBORIS"), &second, PATIENCE));
    add(&away, &anna, &second);
    add(&away, &anna, &first);
    assert!(!waits(&first) && waits(&second) && waits(&third), "they stay in the order in which they left");
    away.remove(&anna, &first);
    assert!(!waits(&second) && waits(&third));
    away.remove(&anna, &second);
    assert!(!waits(&third) && away.lock().lanes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_away_is_waited_for_once_and_not_without_an_end() {
    let away = Away::default();
    let (anna, first, second) = (lane("oANNA"), key("1"), key("2"));
    add(&away, &anna, &first);
    tokio::time::advance(PATIENCE).await;
    add(&away, &anna, &first);
    assert!(!away.any_before(&anna, &second, PATIENCE));
    for _ in 0..10 {
        tokio::time::advance(REMEMBERED / 2).await;
        add(&away, &anna, &first);
        assert!(!away.any_before(&anna, &second, PATIENCE), "not anew either");
    }
    tokio::time::advance(REMEMBERED * 2).await;
    add(&away, &lane("oBORIS"), &second);
    assert!(!away.lock().lanes.contains_key(&anna), "it is forgotten in the end");
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_in_the_queue_until_the_one_before_is_done_or_its_time_is_over() {
    let bench = Bench::new();
    let leave = |text: &str| {
        let envelope = queue::envelope("wx1", "oA", text);
        bench.handler.away.add(LaneKey::of_envelope(&envelope), &envelope.key, Instant::now());
    };
    let postponed = |settled: &Settled| matches!(settled, Settled::As(Settlement::Postpone { .. }));
    leave("hi 1");
    assert!(postponed(&bench.handle("oA", "hi 2").await));
    assert_eq!(bench.handle("oB", "hi").await, Settled::As(Settlement::Done));
    assert_eq!(bench.handle("oA", "hi 1").await, Settled::As(Settlement::Done));
    assert_eq!(bench.handle("oA", "hi 2").await, Settled::As(Settlement::Done));

    leave("hi 3");
    assert!(postponed(&bench.handle("oA", "hi 4").await));
    tokio::time::sleep(bench.handler.timings.retry_total).await;
    assert_eq!(bench.handle("oA", "hi 4").await, Settled::As(Settlement::Done));
}

#[tokio::test(start_paused = true)]
async fn a_welcome_does_not_stay_behind() {
    let bench =
        Bench::with("[[rule]]\nwhen = { event = \"user_enter_tempsession\" }\nreply = [{ text = \"welcome\" }]");
    let away = queue::envelope("wx1", "oA", "hi");
    add(&bench.handler.away, &LaneKey::of_envelope(&away), &away.key);
    let mut enters = queue::envelope("wx1", "oA", "");
    enters.push.content = Content::Event { event: "user_enter_tempsession".to_owned(), session_from: String::new() };
    enters.push.msg_type = "event".to_owned();
    let (delivery, settled) = delivery(Ok(enters), 0);
    bench.run(delivery).await;
    assert_eq!(settled.get(), Settled::As(Settlement::Done));
    assert_eq!(bench.wechat.calls(SEND).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_minute_in_the_lane_is_not_followed_by_another_one_in_the_queue() {
    let (away, begun) = (Away::default(), Instant::now());
    tokio::time::advance(PATIENCE).await;
    away.add(lane("oANNA"), &key("1"), begun);
    assert!(!away.any_before(&lane("oANNA"), &key("2"), PATIENCE));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_for_a_slot_that_was_left() {
    let bench = Bench::with("[worker]\nconcurrency = 1");
    let handle = |user: &str| {
        let ((delivery, _), handler) = (delivery(Ok(queue::envelope("wx1", user, "hi")), 0), bench.handler.clone());
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
