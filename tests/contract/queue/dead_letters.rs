//! What the dead letters promise.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kefu_harness::eventually;
use kefu_queue::dead_letters::{Action, DeadLetter, DeadLetters, Order, Report, Selection};
use kefu_queue::{Consumer, DeadReason, Settlement};

use super::{
    PATIENCE, Queue, SHORTEST_RETRY, done, envelope, next, next_many, nothing_comes, number, numbers, publish, user,
};

const REASONS: [DeadReason; 3] = [DeadReason::Refused, DeadReason::WindowClosed, DeadReason::Exhausted];

pub(super) async fn they_are_read_in_the_order_of_death_with_their_story(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    let before_ms = now_ms();
    publish(&publisher, &user(0, 0), 1..=3).await;
    let mut held = next_many(&mut consumer, 3).await;
    held.rotate_left(1);
    let first = held.pop().unwrap();
    for (delivery, reason) in held.into_iter().zip(REASONS) {
        die(delivery, reason, "errcode 45015").await;
    }
    let retry = Settlement::Retry { after: SHORTEST_RETRY, error: "errcode -1".into() };
    first.settle(retry).await.unwrap();
    let postpone = Settlement::Postpone { after: SHORTEST_RETRY, error: "paused".into() };
    next(&mut consumer).await.settle(postpone).await.unwrap();
    die(next(&mut consumer).await, DeadReason::Exhausted, "errcode 45047").await;

    let letters = all(&queue, 3).await;
    assert_eq!(letters.iter().map(number_of).collect::<Vec<_>>(), [2, 3, 1]);
    let reasons: Vec<&str> = letters.iter().map(|letter| &*letter.history.reason).collect();
    assert_eq!(reasons, ["refused", "window_closed", "exhausted"]);
    let [.., last] = &letters[..] else { unreachable!() };
    let expected = envelope(&user(0, 0), 1);
    assert_eq!(last.envelope.as_ref().unwrap(), &expected);
    assert_eq!((&last.body, &last.id), (&expected.to_json(), &expected.key.to_string()));
    assert_eq!(
        (&*last.history.first_error, &*last.history.last_error, last.history.attempts),
        ("errcode -1", "errcode 45047", 2)
    );
    assert_eq!((last.history.replays, last.partition.unwrap().index()), (0, 0));
    assert_eq!(last.history.traceparent, expected.traceparent);
    let (seen, died) = (last.history.first_seen_ms.unwrap(), last.history.died_at_ms.unwrap());
    // The embedded queue counts on from the system's time at its opening: each rounds for itself.
    assert!(before_ms <= seen + 1 && seen < died && died <= now_ms() + 1, "{before_ms} {seen} {died}");
    assert_eq!(letters[0].history.first_error, "errcode 45015", "one that was tried once has one error");
}

pub(super) async fn what_is_replayed_comes_once_at_the_tail_as_if_it_were_new(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    publish(&publisher, &user(0, 0), 1..=4).await;
    let retry = Settlement::Retry { after: SHORTEST_RETRY, error: "errcode -1".into() };
    for _ in 0..2 {
        die(next(&mut consumer).await, DeadReason::Refused, "errcode 45015").await;
    }
    let held = next(&mut consumer).await;
    assert_eq!(held.replays, 0);
    let report = replay(&queue, Selection { ids: vec![id(2)], ..Selection::default() }).await;
    assert_eq!(ids(&report), [id(2)]);
    assert_eq!((report.error, report.left), (None, vec![]));
    done(held).await;
    done(next(&mut consumer).await).await;
    let replayed = next(&mut consumer).await;
    assert_eq!((number(&replayed), replayed.attempt, replayed.partition.index()), (2, 0, 0));
    assert_eq!(replayed.replays, 1);
    assert_eq!(replayed.envelope.as_ref().unwrap(), &envelope(&user(0, 0), 2));
    // It dies again: what was before the replay is forgotten, except that there was one.
    replayed.settle(retry).await.unwrap();
    let retried = next(&mut consumer).await;
    assert_eq!((retried.attempt, retried.replays), (1, 1));
    die(retried, DeadReason::Exhausted, "errcode 45047").await;
    nothing_comes(&mut consumer).await;
    let letters = all(&queue, 2).await;
    assert_eq!(letters.iter().map(number_of).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(letters.iter().map(|letter| letter.history.replays).collect::<Vec<_>>(), [0, 1]);
    let again = &letters[1];
    assert_eq!(
        (&*again.history.first_error, &*again.history.last_error, again.history.attempts),
        ("errcode -1", "errcode 45047", 2)
    );
    let report = replay(&queue, Selection { ids: vec![id(2)], ..Selection::default() }).await;
    assert_eq!(report.letters[0].history.replays, 1);
    die(next(&mut consumer).await, DeadReason::Refused, "").await;
    assert_eq!(all(&queue, 2).await[1].history.replays, 2);
}

pub(super) async fn what_is_dropped_is_gone_and_the_others_keep_their_places(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), 1..=6).await;
    kill(&mut consumer, 6).await;
    let mut order = Order::list(Selection { reason: Some("refused".into()), ..Selection::default() });
    order.action = Action::Drop;
    order.max = Some(1);
    order.dry_run = true;
    assert_eq!(ids(&order.carry_out(&*queue.letters()).await), [id(1)]);
    all(&queue, 6).await;
    order.dry_run = false;
    let report = order.carry_out(&*queue.letters()).await;
    assert_eq!((ids(&report), report.error), (vec![id(1)], None));
    publish(&publisher, &user(0, 0), [7]).await;
    kill(&mut consumer, 1).await;
    assert_eq!(all(&queue, 6).await.iter().map(number_of).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);
    nothing_comes(&mut consumer).await;
}

pub(super) async fn a_walk_that_is_dropped_half_way_changes_nothing_but_what_it_did(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), 1..=5).await;
    kill(&mut consumer, 5).await;
    all(&queue, 5).await;
    for _ in 0..3 {
        let letters = queue.letters();
        let mut walk = letters.walk().await.unwrap();
        for _ in 0..3 {
            walk.next().await.unwrap();
        }
        drop(walk);
        let there = all(&queue, 5).await;
        assert_eq!(there.iter().map(number_of).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }
    let letters = queue.letters();
    let mut walk = letters.walk().await.unwrap();
    walk.next().await.unwrap();
    walk.next().await.unwrap();
    walk.replay().await.unwrap();
    assert!(walk.replay().await.is_err(), "it was replayed already");
    walk.next().await.unwrap();
    walk.discard().await.unwrap();
    walk.next().await.unwrap();
    walk.close().await.unwrap();
    assert_eq!(all(&queue, 3).await.iter().map(number_of).collect::<Vec<_>>(), [1, 4, 5]);
    assert_eq!(number(&next(&mut consumer).await), 2);
}

pub(super) async fn what_dies_during_a_walk_is_not_part_of_it(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), 1..=2).await;
    kill(&mut consumer, 2).await;
    all(&queue, 2).await;
    let letters = queue.letters();
    let mut walk = letters.walk().await.unwrap();
    let mut seen = 0;
    while walk.next().await.unwrap().is_some() {
        walk.replay().await.unwrap();
        kill(&mut consumer, 1).await;
        seen += 1;
        assert!(seen <= 2, "it does not come to an end");
    }
    walk.close().await.unwrap();
    assert_eq!(seen, 2);
    assert_eq!(all(&queue, 2).await.iter().map(number_of).collect::<Vec<_>>(), [1, 2]);
}

pub(super) async fn a_body_that_is_no_envelope_is_shown_and_replayed_unchanged(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    let mut newer = envelope(&user(2, 0), 1);
    newer.v = 99;
    publisher.publish(&newer).await.unwrap();
    die(next(&mut consumer).await, DeadReason::Undecodable, "version 99").await;
    let letter = &all(&queue, 1).await[0];
    assert_eq!((&letter.body, &*letter.history.reason), (&newer.to_json(), "undecodable"));
    assert!(letter.envelope.is_err());
    assert_eq!(letter.id.len(), 12);
    let report = replay(&queue, Selection { ids: vec![letter.id.clone()], ..Selection::default() }).await;
    assert!(report.letters[0].undecodable.as_ref().unwrap().contains("99"), "{report:?}");
    let again = next(&mut consumer).await;
    assert_eq!((again.envelope.is_err(), again.partition.index()), (true, 2));
    die(again, DeadReason::Undecodable, "version 99").await;
    assert_eq!(all(&queue, 1).await[0].body, newer.to_json());
}

pub(super) async fn an_order_that_does_not_say_which_changes_nothing(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    publish(&publisher, &user(0, 0), [1]).await;
    kill(&mut consumer, 1).await;
    all(&queue, 1).await;
    for action in [Action::Drop, Action::Replay] {
        let report = Order { action, max: Some(1), ..Order::list(Selection::default()) };
        let report = report.carry_out(&*queue.letters()).await;
        assert!(report.letters.is_empty() && report.error.unwrap().contains("neither"));
    }
    all(&queue, 1).await;
}

pub(super) async fn a_selection_takes_what_all_of_it_says(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), 1..=6).await;
    kill(&mut consumer, 3).await;
    let middle = all(&queue, 3).await[2].history.died_at_ms.unwrap() + 1;
    // The clock must have gone on.
    eventually(PATIENCE, "a millisecond passes", async || if now_ms() > middle { Ok(()) } else { Err("not yet") })
        .await;
    kill(&mut consumer, 3).await;
    all(&queue, 6).await;
    let found = async |selection| ids(&Order::list(selection).carry_out(&*queue.letters()).await);
    let any = Selection::default;
    assert_eq!(found(any()).await.len(), 6);
    assert_eq!(found(Selection { reason: Some("refused".into()), ..any() }).await, [id(1), id(4)]);
    assert_eq!(found(Selection { since_ms: Some(middle), ..any() }).await, [id(4), id(5), id(6)]);
    let account = |appid: &str| Selection { account: Some(appid.into()), ..any() };
    assert_eq!(found(account(super::ACCOUNT)).await.len(), 6);
    assert_eq!(found(account("wx0")).await.len(), 0);
    let both = Selection { ids: vec![id(1), id(5)], reason: Some("refused".into()), ..any() };
    assert_eq!(found(both).await, [id(1)]);
}

pub(super) async fn replays_outlive_a_crash_and_so_do_those_that_were_left(mut queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), 1..=4).await;
    kill(&mut consumer, 4).await;
    all(&queue, 4).await;
    let report = replay(&queue, Selection { ids: vec![id(2), id(3)], ..Selection::default() }).await;
    assert_eq!(report.error, None);
    publisher.close(Duration::from_secs(5)).await;
    consumer.close().await;
    drop((publisher, consumer));
    queue.crash().await;
    let mut consumer = queue.consumer("a", 10).await;
    assert_eq!(numbers(&next_many(&mut consumer, 2).await), [2, 3]);
    assert_eq!(all(&queue, 2).await.iter().map(number_of).collect::<Vec<_>>(), [1, 4]);
}

/// All dead letters, once there are `count`.
pub(super) async fn all(queue: &impl Queue, count: usize) -> Vec<DeadLetter> {
    let letters = queue.letters();
    eventually(PATIENCE, "the dead letters are there", async || {
        let found = read(&letters).await;
        if found.len() == count { Ok(found) } else { Err(format!("there are {found:?}")) }
    })
    .await
}

async fn read(letters: &Arc<dyn DeadLetters>) -> Vec<DeadLetter> {
    let mut walk = letters.walk().await.expect("a walk begins");
    let mut found = Vec::new();
    while let Some(letter) = walk.next().await.expect("it goes on") {
        found.push(letter);
    }
    walk.close().await.expect("it ends");
    found
}

pub(super) async fn replay(queue: &impl Queue, selection: Selection) -> Report {
    let order = Order { action: Action::Replay, ..Order::list(selection) };
    order.carry_out(&*queue.letters()).await
}

/// Settles the next `count` deliveries as dead, for each of the reasons in turn.
async fn kill(consumer: &mut Box<dyn Consumer>, count: usize) {
    for reason in REASONS.into_iter().cycle().take(count) {
        // A dead letter's time is its place.
        let last_ms = now_ms();
        while now_ms() == last_ms {
            tokio::task::yield_now().await;
        }
        die(next(consumer).await, reason, "errcode 45015").await;
    }
}

pub(super) async fn die(delivery: kefu_queue::Delivery, reason: DeadReason, error: &str) {
    delivery.settle(Settlement::Dead { reason, error: error.into() }).await.expect("the delivery can be settled");
}

/// The id of the `number`th text of the user that these cases have.
fn id(number: u32) -> String {
    envelope(&user(0, 0), number).key.to_string()
}

pub(super) fn ids(report: &Report) -> Vec<String> {
    report.letters.iter().map(|letter| letter.id.clone()).collect()
}

fn number_of(letter: &DeadLetter) -> u32 {
    letter.envelope.as_ref().unwrap().push.msg_id.as_ref().unwrap().parse().unwrap()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}
