//! Dead letters that the broker or another program put there, and a broker that is not there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kefu_harness::eventually;
use kefu_queue::dead_letters::{Action, Order, Report, Selection};
use kefu_queue::rabbitmq::{Settings, consumer, dead_letters};
use kefu_queue::{ConsumerOptions, DeadReason, Settlement};
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use tokio::time::timeout;

use super::super::{PATIENCE, Queue, done, envelope, next, number, publish, user};
use super::{OnRabbitMq, on_a_server, on_its_own_server, publisher};

/// Longer than the command lets an operator wait for one answer.
const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_gave_up_by_itself_has_its_reason_and_is_replayed() {
    let queue = on_a_server().await;
    let settings = Settings { delivery_limit: 3, ..queue.settings() };
    let options = ConsumerOptions { id: "a".into(), prefetch: 10, seat: None };
    let (publisher, mut consumer) = (publisher(&settings).unwrap(), consumer(&settings, options).unwrap());
    publish(&publisher, &user(1, 0), [4]).await;
    for _ in 0..4 {
        drop(next(&mut consumer).await);
    }
    let report = eventually(PATIENCE, "the broker makes it a dead letter", async || {
        let report = list(&queue).await;
        if report.letters.len() == 1 { Ok(report) } else { Err(format!("{report:?}")) }
    })
    .await;
    let letter = &report.letters[0];
    assert_eq!((letter.history.reason.as_str(), letter.partition.as_deref()), ("delivery_limit", Some("p01")));
    assert!(letter.history.last_error.contains("unsettled too often"), "{}", letter.history.last_error);
    assert!(letter.history.died_at_ms.is_some_and(|died_at_ms| died_at_ms > 1_700_000_000_000), "{letter:?}");
    assert_eq!(letter.id, envelope(&user(1, 0), 4).key.to_string());
    assert_eq!(replay(&queue).await.letters.len(), 1);
    // It may be handed out as often as a new one.
    for _ in 0..3 {
        drop(next(&mut consumer).await);
    }
    assert_eq!(number(&next(&mut consumer).await), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_put_there_stays_if_it_has_nowhere_to_go() {
    let queue = on_a_server().await;
    let mut consumer = queue.consumer("a", 1).await;
    let channel = queue.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let envelope = envelope(&user(3, 0), 1);
    let bodies = [b"\x1b[2Jno envelope".to_vec(), envelope.to_json()];
    for body in &bodies {
        let options = BasicPublishOptions::default();
        let key = "order.created".into();
        let sent = channel.basic_publish("kefu.dead".into(), key, options, body, BasicProperties::default()).await;
        sent.unwrap().await.unwrap();
    }
    let report = list(&queue).await;
    let seen: Vec<_> = report.letters.iter().map(|one| (&*one.history.reason, one.account.as_deref())).collect();
    assert_eq!(seen, [("unknown", None), ("unknown", Some(&*envelope.account))]);
    let order = Order { forgotten: true, ..order(Action::Replay) };
    let report = order.carry_out(&*queue.letters()).await;
    assert_eq!(report.error, None);
    assert_eq!((report.letters.len(), report.left.len()), (1, 1));
    assert!(report.left[0].why.contains("its partition is not known"), "{report:?}");
    let replayed = next(&mut consumer).await;
    assert_eq!((replayed.envelope.as_ref().unwrap(), replayed.partition.index()), (&envelope, 3));
    assert_eq!(list(&queue).await.letters.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_or_another_ones_is_said_in_words_and_in_time() {
    let mut queue = on_its_own_server().await;
    let began = Instant::now();
    let error = list(&queue).await.error.unwrap();
    assert!(error.contains("no queue kefu.dead"), "{error}");
    let wrong = Settings::new(queue.vhost.url().replace("guest:guest", "guest:hunter2").into(), 4);
    let report = order(Action::List).carry_out(&*dead_letters(&wrong).unwrap()).await;
    let error = report.error.unwrap();
    assert!(error.contains("check the user and password") && !error.contains("hunter2"), "{error}");
    queue.server.as_mut().unwrap().kill();
    let error = list(&queue).await.error.unwrap();
    assert!(error.contains("127.0.0.1") && !error.contains("guest"), "{error}");
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_or_takes_nothing_is_said_in_time_and_loses_nothing() {
    let queue = on_its_own_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), 1..=3).await;
    for _ in 0..3 {
        let dead = Settlement::Dead { reason: DeadReason::Refused, error: "no".into() };
        next(&mut consumer).await.settle(dead).await.unwrap();
    }
    let server = queue.server.as_ref().unwrap();
    server.raise_memory_alarm().await;
    let began = Instant::now();
    let report = replay(&queue).await;
    assert!(began.elapsed() < 2 * WITHIN, "{:?}", began.elapsed());
    let error = report.error.unwrap();
    assert!(report.letters.is_empty() && error.contains("low on memory"), "{error}");
    server.clear_memory_alarm().await;
    server.stop_signal();
    let began = Instant::now();
    let error = list(&queue).await.error.unwrap();
    assert!(error.contains("did not answer") && began.elapsed() < WITHIN, "{error}");
    server.cont_signal();
    // The first one's fate was open: it is there twice at most, and the others once.
    let mut there = eventually(PATIENCE, "the dead letters are back in their places", async || {
        let report = list(&queue).await;
        let there: Vec<_> = report.letters.into_iter().map(|letter| letter.id).collect();
        if there.len() == 3 { Ok(there) } else { Err(format!("{there:?} {:?}", report.error)) }
    })
    .await;
    there.dedup();
    assert_eq!(there, [1, 2, 3].map(|number| envelope(&user(0, 0), number).key.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_is_gone_however_much_it_is() {
    const COUNT: usize = 400;
    let queue = on_a_server().await;
    let _declared = queue.consumer("a", 1).await;
    let channel = queue.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    // The broker forgets what a channel tells it last now and then: not each time.
    for round in 0..5 {
        let mut confirms = Vec::new();
        for number in 0..COUNT {
            let body = envelope(&user(0, 0), number as u32).to_json();
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let sent = channel.basic_publish("kefu.dead".into(), "p00".into(), options, &body, properties).await;
            confirms.push(sent.unwrap());
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
        let report = Order { forgotten: true, ..order(Action::Drop) }.carry_out(&*queue.letters()).await;
        assert_eq!((report.letters.len(), report.error), (COUNT, None), "round {round}");
        assert_eq!(list(&queue).await.letters.len(), 0, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_in_a_replay_has_every_message_in_one_place_or_both() {
    const COUNT: u32 = 100;
    let mut queue = on_its_own_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 200).await);
    publish(&publisher, &user(0, 0), 1..=COUNT).await;
    for _ in 0..COUNT {
        let dead = Settlement::Dead { reason: DeadReason::Refused, error: "no".into() };
        next(&mut consumer).await.settle(dead).await.unwrap();
    }
    queue.queues_are_registered().await;
    let letters = queue.letters();
    let replay = tokio::spawn(async move { order(Action::Replay).carry_out(&*letters).await });
    let first = next(&mut consumer).await;
    assert_eq!(number(&first), 1);
    drop(first);
    let server = queue.server.as_mut().unwrap();
    server.kill();
    let report = timeout(WITHIN, replay).await.expect("it ends in time").unwrap();
    let replayed = report.letters.len();
    assert!(report.error.is_some() && replayed < COUNT as usize, "{replayed} before the kill: {:?}", report.error);
    server.restart().await;
    let mut missing: BTreeSet<_> = (1..=COUNT).map(|number| envelope(&user(0, 0), number).key.to_string()).collect();
    let left = eventually(PATIENCE, "those that were not replayed are dead letters still", async || {
        let report = list(&queue).await;
        let enough = report.error.is_none() && report.letters.len() + replayed >= COUNT as usize;
        if enough { Ok(report.letters) } else { Err(format!("{} {:?}", report.letters.len(), report.error)) }
    })
    .await;
    println!("{replayed} replayed, {} left", left.len());
    let left: Vec<_> = left.into_iter().map(|letter| letter.id).collect();
    assert!(left.len() <= COUNT as usize);
    missing.retain(|id| !left.contains(id));
    while !missing.is_empty() {
        let delivery = next(&mut consumer).await;
        missing.remove(&delivery.envelope.as_ref().unwrap().key.to_string());
        done(delivery).await;
    }
}

fn order(action: Action) -> Order {
    Order { action, all: true, ..Order::list(Selection::default()) }
}

async fn list(queue: &OnRabbitMq) -> Report {
    order(Action::List).carry_out(&*queue.letters()).await
}

async fn replay(queue: &OnRabbitMq) -> Report {
    order(Action::Replay).carry_out(&*queue.letters()).await
}
