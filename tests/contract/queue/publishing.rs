//! What `Publisher` promises.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use kefu_queue::QueueError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{InTurn, PATIENCE, Queue, done, envelope, next, next_many, number, numbers, publish, user};

pub(super) async fn what_is_published_comes_out_whole(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    let published = envelope(&user(2, 0), 1);
    publisher.publish(&published).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.envelope.as_ref().unwrap(), &published);
    assert_eq!((delivery.partition.index(), delivery.attempt, delivery.redelivered), (2, 0, false));
    assert!(!delivery.session.is_cancelled());
}

pub(super) async fn messages_of_a_user_come_in_the_order_of_publishing(queue: impl Queue) {
    const EACH: u32 = 50;
    let publisher = queue.publisher().await;
    let users: Vec<_> = (0..4).flat_map(|partition| [user(partition, 0), user(partition, 1)]).collect();
    join_all(users.iter().map(|user| publish(&publisher, user, 1..=EACH))).await;
    let mut consumer = queue.consumer("a", 10).await;
    let mut last = vec![0; users.len()];
    for _ in 0..users.len() * EACH as usize {
        let delivery = next(&mut consumer).await;
        let from = &delivery.envelope.as_ref().unwrap().push.from_user;
        let last = &mut last[users.iter().position(|user| user == from).unwrap()];
        assert_eq!(number(&delivery), *last + 1, "of {from}");
        *last += 1;
        done(delivery).await;
    }
    assert_eq!(last, vec![EACH; users.len()]);
}

pub(super) async fn a_dropped_publish_neither_blocks_nor_doubles_nor_reorders(queue: impl Queue) {
    const DROPPED: u32 = 500;
    let (publisher, user) = (queue.publisher().await, user(0, 0));
    for number in 1..=DROPPED {
        let envelope = envelope(&user, number);
        // Polled once, so that it is begun, and then dropped.
        let _begun = publisher.publish(&envelope).now_or_never();
    }
    publish(&publisher, &user, [DROPPED + 1]).await;
    let mut consumer = queue.consumer("a", 100).await;
    let mut last = 0;
    while last <= DROPPED {
        let delivery = next(&mut consumer).await;
        assert!(number(&delivery) > last, "{} after {last}", number(&delivery));
        last = number(&delivery);
        done(delivery).await;
    }
}

pub(super) async fn closing_waits_for_the_publishes_under_way(queue: impl Queue) {
    let publisher = queue.publisher().await;
    for publisher in [publisher.local(), Arc::into_inner(publisher).unwrap()] {
        close_with_publishes_under_way(&publisher).await;
    }
}

async fn close_with_publishes_under_way(publisher: &InTurn) {
    publish(publisher, &user(0, 0), [1]).await;
    // Of many users, because the second message of a user is not under way before the end of the first; and so few that one
    // poll begins all of them.
    let envelopes: Vec<_> = (1..=30).map(|index| envelope(&user(0, index), 1)).collect();
    let mut under_way = join_all(envelopes.iter().map(|envelope| publisher.publish(envelope)));
    let begun = (&mut under_way).now_or_never();
    let ((), answers) = tokio::join!(publisher.close(Duration::from_secs(30)), async {
        match begun {
            Some(answers) => answers,
            None => under_way.await,
        }
    });
    assert!(answers.iter().all(|answer| answer.is_ok()), "{answers:?}");
}

pub(super) async fn a_closed_publisher_publishes_no_more(queue: impl Queue) {
    let (publisher, user) = (queue.publisher().await, user(0, 0));
    publish(&publisher, &user, [1]).await;
    publisher.close(Duration::from_secs(5)).await;
    let refused = publisher.publish(&envelope(&user, 2)).await;
    assert!(matches!(refused, Err(QueueError::Unavailable(_))), "{refused:?}");
    assert_ne!(publisher.health(), kefu_runtime::health::Health::Up);
    drop::<Arc<_>>(publisher);
}

pub(super) async fn threads_share_the_order_of_a_user(queue: impl Queue) {
    const EACH: u32 = 20;
    let (publisher, user) = (queue.publisher().await, user(0, 0));
    let (to_first, at_first) = mpsc::unbounded_channel();
    let (to_second, at_second) = mpsc::unbounded_channel();
    // Each thread passes the next number on to the other thread as soon as it has its own turn, so that both publish at once.
    let threads = [(at_first, to_second), (at_second, to_first.clone())].map(|(mut numbers, next)| {
        let (publisher, user) = (publisher.clone(), user.clone());
        on_a_thread(async move || {
            let local = publisher.local();
            while let Some(number) = numbers.recv().await {
                let envelope = envelope(&user, number);
                let turn = local.turns.take(&envelope).await;
                let is_last = number == 2 * EACH;
                let _passed_on = is_last || next.send(number + 1).is_ok();
                local.publisher.publish(&envelope, turn).await.expect("the queue takes messages");
                if is_last {
                    break;
                }
            }
            drop(next);
            local.close(PATIENCE).await;
        })
    });
    to_first.send(1).unwrap();
    drop(to_first);
    for thread in threads {
        thread.await.unwrap();
    }
    let mut consumer = queue.consumer("a", 100).await;
    let deliveries = next_many(&mut consumer, 2 * EACH as usize).await;
    assert_eq!(numbers(&deliveries), (1..=2 * EACH).collect::<Vec<_>>());
}

pub(super) async fn the_others_go_on_when_the_publisher_of_a_thread_closes(queue: impl Queue) {
    let (publisher, user) = (queue.publisher().await, user(0, 0));
    let (all, to) = (publisher.clone(), user.clone());
    let ended = on_a_thread(async move || {
        let (closed, open) = (all.local(), all.local());
        publish(&closed, &to, [1]).await;
        closed.close(PATIENCE).await;
        publish(&open, &to, [2]).await;
        // From then on the messages of `closed` go through the publisher of all.
        publish(&closed, &to, [3]).await;
        open.close(PATIENCE).await;
    });
    ended.await.unwrap();
    publish(&publisher, &user, [4]).await;
    let mut consumer = queue.consumer("a", 10).await;
    assert_eq!(numbers(&next_many(&mut consumer, 4).await), [1, 2, 3, 4]);
}

/// Does the work on a thread that has a runtime of its own, as the threads of ingress have.
fn on_a_thread<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<()> {
    tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work());
    })
}
