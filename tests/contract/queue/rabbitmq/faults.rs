//! A broker that dies, that blocks, that is not there yet, and connections that are lost.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use kefu_harness::eventually;
use kefu_queue::rabbitmq::consumer;
use kefu_queue::{ConsumerOptions, QueueError, Settlement};
use kefu_runtime::health::Health;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::{PATIENCE, Queue, done, envelope, next, next_many, number, numbers, publish, user};
use super::{down, on_a_server, on_its_own_server, publisher, up};

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_messages_outlive_a_kill_of_the_broker_under_load() {
    let mut queue = on_its_own_server().await;
    let publisher = queue.publisher().await;
    queue.queues_are_registered().await;
    let (confirmed, enough) = (Mutex::new(BTreeSet::new()), CancellationToken::new());
    let load = join_all((0..16_u16).map(|index| {
        let (publisher, confirmed, enough) = (&publisher, &confirmed, &enough);
        async move {
            let user = user(index % 4, usize::from(index));
            for number in (1..).take_while(|_| !enough.is_cancelled()) {
                match publisher.publish(&envelope(&user, number)).await {
                    Ok(()) => drop(confirmed.lock().unwrap().insert((user.as_str().to_owned(), number))),
                    Err(QueueError::Unavailable(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }));
    let count = || confirmed.lock().unwrap().len();
    let reaches = |goal: usize| {
        eventually(PATIENCE, "more is confirmed", async move || if count() >= goal { Ok(()) } else { Err(count()) })
    };
    let server = queue.server.as_mut().unwrap();
    tokio::join!(load, async {
        reaches(500).await;
        server.kill();
        server.restart().await;
        // The same publisher goes on by itself.
        reaches(count() + 500).await;
        enough.cancel();
    });
    let mut missing = confirmed.into_inner().unwrap();
    let mut consumer = queue.consumer("a", 500).await;
    let mut last = std::collections::BTreeMap::new();
    while !missing.is_empty() {
        let delivery = next(&mut consumer).await;
        let from = delivery.envelope.as_ref().unwrap().push.from_user.as_str().to_owned();
        let number = number(&delivery);
        assert!(last.insert(from.clone(), number) < Some(number), "{number} of {from} is out of order");
        missing.remove(&(from, number));
        done(delivery).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_ends_the_sessions_and_comes_back_with_the_messages() {
    let mut queue = on_its_own_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 3).await);
    publish(&publisher, &user(0, 0), 1..=5).await;
    let mut held = next_many(&mut consumer, 3).await;
    done(held.remove(0)).await;
    queue.queues_are_registered().await;
    let server = queue.server.as_mut().unwrap();
    server.kill();
    for delivery in held {
        timeout(PATIENCE, delivery.session.cancelled()).await.expect("the session ends with the connection");
        assert!(matches!(delivery.settle(Settlement::Done).await, Err(QueueError::Stale)));
    }
    let reason = down(PATIENCE, || consumer.health()).await;
    assert!(!reason.is_empty());
    server.restart().await;
    // An acknowledgement just before the crash may not have arrived; then its message comes again.
    let mut again = next(&mut consumer).await;
    if number(&again) == 1 {
        assert!(again.redelivered);
        done(again).await;
        again = next(&mut consumer).await;
    }
    assert_eq!(number(&again), 2);
    done(again).await;
    assert_eq!(numbers(&next_many(&mut consumer, 3).await), [3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_comes_back_by_itself() {
    let queue = on_a_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 2).await);
    publish(&publisher, &user(0, 0), 1..=4).await;
    let held = next_many(&mut consumer, 2).await;
    queue.vhost.close_all_connections().await;
    for delivery in &held {
        timeout(PATIENCE, delivery.session.cancelled()).await.expect("the session ends with the connection");
    }
    let again = next_many(&mut consumer, 2).await;
    assert_eq!(numbers(&again), [1, 2]);
    for delivery in again {
        done(delivery).await;
    }
    assert_eq!(numbers(&next_many(&mut consumer, 2).await), [3, 4]);
    up(|| publisher.health()).await;
    publish(&publisher, &user(1, 0), [9]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_alarm_makes_publishes_wait_and_acknowledgements_go_on() {
    const WAITING: u32 = 200;
    let queue = on_its_own_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), 1..=2).await;
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    let server = queue.server.as_ref().unwrap();
    server.raise_memory_alarm().await;
    let envelopes: Vec<_> = (1..=WAITING).map(|number| envelope(&user(1, 0), number)).collect();
    let waiting = join_all(envelopes.iter().map(|envelope| publisher.publish(envelope)));
    let meanwhile = async {
        let reason = down(PATIENCE, || publisher.health()).await;
        assert!(reason.contains("memory"), "{reason}");
        done(first).await;
        // A caller who gives up leaves nothing behind.
        let given_up = timeout(Duration::from_millis(300), publisher.publish(&envelope(&user(2, 0), 1))).await;
        assert!(given_up.is_err());
        let retry = Settlement::Retry { after: Duration::ZERO, error: "busy".into() };
        let retried = timeout(Duration::from_millis(300), second.settle(retry)).await;
        assert!(retried.is_err(), "a retry is a publish, too");
        server.clear_memory_alarm().await;
    };
    let (published, ()) = tokio::join!(waiting, meanwhile);
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    assert_eq!(publisher.health(), Health::Up);
    let mut here = Vec::new();
    while here.len() < WAITING as usize {
        let delivery = next(&mut consumer).await;
        if delivery.partition.index() == 1 {
            here.push(number(&delivery));
        }
        done(delivery).await;
    }
    assert_eq!(here, Vec::from_iter(1..=WAITING));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_later_finds_everybody_waiting() {
    let mut queue = on_its_own_server().await;
    queue.server.as_mut().unwrap().kill();
    let publisher = publisher(&queue.settings()).unwrap();
    let mut consumer =
        consumer(&queue.settings(), ConsumerOptions { id: "a".into(), prefetch: 5, seat: None }).unwrap();
    let reason = down(PATIENCE, || publisher.health()).await;
    assert!(!reason.contains("guest"), "{reason}");
    let user = user(0, 0);
    let server = queue.server.as_mut().unwrap();
    let (delivery, (), ()) = tokio::join!(next(&mut consumer), publish(&publisher, &user, [1]), server.restart());
    assert_eq!(number(&delivery), 1);
    done(delivery).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_reported_before_its_connections_are_given_up() {
    let queue = on_its_own_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 3).await);
    let server = queue.server.as_ref().unwrap();
    server.stop_signal();
    // Two heartbeats would be 20 s.
    let within = Duration::from_secs(9);
    let (published, consumed) = tokio::join!(down(within, || publisher.health()), down(within, || consumer.health()));
    for reason in [published, consumed] {
        assert!(reason.contains("has not answered"), "{reason}");
    }
    server.cont_signal();
    tokio::join!(up(|| publisher.health()), up(|| consumer.health()));
    publish(&publisher, &user(0, 0), [1]).await;
    assert_eq!(number(&next(&mut consumer).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_may_be_held_beyond_the_brokers_own_limit() {
    let queue = on_its_own_server().await;
    let short =
        "[application:set_env(rabbit, K, V) || {K, V} <- [{channel_tick_interval, 100}, {consumer_timeout, 500}]].";
    queue.vhost.broker().rabbitmqctl(&["eval", short]).await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 3).await);
    publish(&publisher, &user(0, 0), [1]).await;
    let held = next(&mut consumer).await;
    let taken_back = timeout(Duration::from_secs(3), held.session.cancelled()).await;
    assert!(taken_back.is_err(), "the broker took the delivery back");
    done(held).await;
}
