//! What `Consumer` and an unsettled `Delivery` promise.

use kefu_queue::{QueueError, Settlement};
use tokio::time::timeout;

use super::{PATIENCE, Queue, done, envelope, next, next_many, nothing_comes, number, numbers, publish, said, user};

pub(super) async fn no_more_than_the_prefetch_of_a_partition_is_unsettled(queue: impl Queue) {
    let publisher = queue.publisher().await;
    for index in 0..5 {
        publish(&publisher, &user(0, index), [index as u32 + 1]).await;
    }
    let mut consumer = queue.consumer("a", 2).await;
    let mut held = next_many(&mut consumer, 2).await;
    assert_eq!(numbers(&held), [1, 2]);
    nothing_comes(&mut consumer).await;
    done(held.remove(1)).await;
    assert_eq!(number(&next(&mut consumer).await), 3);
}

pub(super) async fn a_partition_at_its_prefetch_does_not_hold_up_the_others(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), 1..=3).await;
    let mut consumer = queue.consumer("a", 1).await;
    let held = next(&mut consumer).await;
    publish(&publisher, &user(1, 0), [7]).await;
    assert_eq!(number(&next(&mut consumer).await), 7);
    drop(held);
}

pub(super) async fn a_dropped_delivery_comes_again_in_its_place(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), 1..=6).await;
    let mut consumer = queue.consumer("a", 4).await;
    let mut held = next_many(&mut consumer, 4).await;
    assert_eq!(numbers(&held), [1, 2, 3, 4]);
    done(held.remove(0)).await;
    drop(held.remove(0));
    drop(held);
    for expected in 2..=6 {
        let again = next(&mut consumer).await;
        assert_eq!(number(&again), expected);
        assert!(expected != 2 || again.redelivered, "a delivery that was handed out before says so");
        done(again).await;
    }
}

pub(super) async fn a_dropped_delivery_ends_the_sessions_of_those_after_it(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), 1..=4).await;
    let mut consumer = queue.consumer("a", 3).await;
    let mut held = next_many(&mut consumer, 3).await;
    let (third, second) = (held.remove(2), held.remove(1));
    assert!(!third.session.is_cancelled());
    drop(second);
    timeout(PATIENCE, third.session.cancelled()).await.expect("the session of the later one ends");
    assert!(matches!(third.settle(Settlement::Done).await, Err(QueueError::Stale)));
    drop(held);
    for expected in 1..=4 {
        let again = next(&mut consumer).await;
        assert_eq!(number(&again), expected);
        assert!(!again.session.is_cancelled());
        done(again).await;
    }
}

pub(super) async fn a_delivery_dropped_before_the_first_is_settled_disturbs_no_other_partition(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), [1]).await;
    let mut consumer = queue.consumer("a", 3).await;
    let dropped = next(&mut consumer).await;
    publish(&publisher, &user(1, 0), [7]).await;
    let other = next(&mut consumer).await;
    drop(dropped);
    assert_eq!(number(&next(&mut consumer).await), 1);
    assert!(!other.session.is_cancelled());
    done(other).await;
}

pub(super) async fn closing_gives_the_unsettled_back_in_order(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), 1..=6).await;
    let mut first = queue.consumer("a", 4).await;
    let mut held = next_many(&mut first, 4).await;
    done(held.remove(2)).await;
    first.close().await;
    drop(held);
    let mut second = queue.consumer("b", 10).await;
    assert_eq!(numbers(&next_many(&mut second, 5).await), [1, 2, 4, 5, 6]);
}

pub(super) async fn after_closing_there_is_no_next_and_settling_is_stale(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), 1..=3).await;
    let mut consumer = queue.consumer("a", 3).await;
    let held = next(&mut consumer).await;
    consumer.close().await;
    assert!(consumer.next().await.is_none());
    assert!(held.session.is_cancelled());
    let settled = held.settle(Settlement::Done).await;
    assert!(matches!(settled, Err(QueueError::Stale)), "{:?}", said(settled));
    let mut other = queue.consumer("b", 3).await;
    assert_eq!(numbers(&next_many(&mut other, 3).await), [1, 2, 3]);
}

pub(super) async fn a_waiting_next_sees_what_is_published_later(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 3).await);
    nothing_comes(&mut consumer).await;
    let later = envelope(&user(3, 0), 1);
    let (delivery, published) = tokio::join!(next(&mut consumer), publisher.publish(&later));
    published.unwrap();
    assert_eq!(number(&delivery), 1);
}
