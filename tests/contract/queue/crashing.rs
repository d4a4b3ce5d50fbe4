//! What is stored stays stored.

use std::time::Duration;

use kefu_queue::Settlement;

pub(super) use super::dead_letters::replays_outlive_a_crash_and_so_do_those_that_were_left;
use super::{NEXT_RETRY, Queue, done, next, next_many, numbers, publish, user};

pub(super) async fn published_messages_outlive_a_crash(mut queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(1, 0), 1..=20).await;
    drop(publisher);
    queue.crash().await;
    let mut consumer = queue.consumer("a", 20).await;
    let deliveries = next_many(&mut consumer, 20).await;
    assert_eq!(numbers(&deliveries), Vec::from_iter(1..=20));
}

pub(super) async fn unsettled_and_retried_messages_outlive_a_crash(mut queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(1, 0), 1..=4).await;
    let mut held = next_many(&mut consumer, 3).await;
    let retry = Settlement::Retry { after: NEXT_RETRY, error: "busy".into() };
    held.remove(1).settle(retry).await.unwrap();
    done(held.remove(1)).await;
    publisher.close(Duration::from_secs(5)).await;
    consumer.close().await;
    drop((publisher, consumer, held));
    queue.crash().await;
    let mut consumer = queue.consumer("a", 10).await;
    let mut again = next_many(&mut consumer, 3).await;
    again.sort_by_key(|delivery| delivery.attempt);
    assert_eq!(numbers(&again), [1, 4, 2]);
    assert_eq!((again[0].redelivered, again[2].attempt), (true, 1));
    // All of the rest was there, and nothing else.
    for delivery in again {
        done(delivery).await;
    }
    publish(&*queue.publisher().await, &user(1, 0), [5]).await;
    assert_eq!(numbers(&[next(&mut consumer).await]), [5]);
}
