//! What the settlements promise.

use std::time::{Duration, Instant};

use kefu_messages::envelope::EnvelopeError;
use kefu_queue::{Consumer, DeadReason, Delivery, Settlement};

use super::{
    DeadLetter, NEXT_RETRY, Queue, SHORTEST_RETRY, done, envelope, next, next_many, number, numbers, publish, user,
};

pub(super) async fn done_is_for_good(queue: impl Queue) {
    let (publisher, user) = (queue.publisher().await, user(0, 0));
    publish(&publisher, &user, 1..=3).await;
    let mut first = queue.consumer("a", 10).await;
    for delivery in next_many(&mut first, 3).await {
        done(delivery).await;
    }
    first.close().await;
    publish(&publisher, &user, [4]).await;
    let mut second = queue.consumer("b", 10).await;
    let only = next(&mut second).await;
    assert_eq!((number(&only), only.redelivered), (4, false));
}

pub(super) async fn deliveries_are_settled_in_any_order(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), 1..=4).await;
    let mut first = queue.consumer("a", 4).await;
    let mut held = next_many(&mut first, 4).await;
    for index in [3, 1] {
        done(held.remove(index)).await;
    }
    first.close().await;
    let mut second = queue.consumer("b", 4).await;
    assert_eq!(numbers(&next_many(&mut second, 2).await), [1, 3]);
}

pub(super) async fn a_delivery_may_be_settled_long_after_later_ones(queue: impl Queue) {
    let publisher = queue.publisher().await;
    publish(&publisher, &user(0, 0), 1..=6).await;
    let mut consumer = queue.consumer("a", 3).await;
    let mut held = next_many(&mut consumer, 3).await;
    for later in held.split_off(1) {
        done(later).await;
    }
    // The queue has these settlements once it delivers more.
    held.extend(next_many(&mut consumer, 2).await);
    assert_eq!(numbers(&held), [1, 4, 5]);
    for delivery in held {
        assert!(!delivery.redelivered && !delivery.session.is_cancelled());
        done(delivery).await;
    }
    let last = next(&mut consumer).await;
    assert_eq!((number(&last), last.redelivered), (6, false));
}

pub(super) async fn a_retry_comes_back_after_its_delay_with_the_attempt_raised(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    let published = envelope(&user(3, 0), 1);
    publisher.publish(&published).await.unwrap();
    let mut delivery = next(&mut consumer).await;
    for attempt in 1..=3 {
        let begun = Instant::now();
        retry(delivery, SHORTEST_RETRY).await;
        delivery = next(&mut consumer).await;
        assert!(begun.elapsed() >= SHORTEST_RETRY, "back after {:?}", begun.elapsed());
        assert_eq!((delivery.attempt, delivery.redelivered), (attempt, false));
        assert_eq!(delivery.envelope.as_ref().unwrap(), &published);
        assert_eq!(delivery.partition.index(), 3);
    }
    done(delivery).await;
}

pub(super) async fn a_postponed_message_comes_back_after_its_delay_with_the_attempt_unchanged(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    let published = envelope(&user(3, 0), 1);
    publisher.publish(&published).await.unwrap();
    let mut delivery = next(&mut consumer).await;
    for attempt in [0, 1] {
        for _ in 0..2 {
            let begun = Instant::now();
            postpone(delivery, SHORTEST_RETRY).await;
            delivery = next(&mut consumer).await;
            assert!(begun.elapsed() >= SHORTEST_RETRY, "back after {:?}", begun.elapsed());
            assert_eq!(delivery.attempt, attempt);
            assert_eq!(delivery.envelope.as_ref().unwrap(), &published);
            assert_eq!(delivery.partition.index(), 3);
        }
        retry(delivery, SHORTEST_RETRY).await;
        delivery = next(&mut consumer).await;
    }
    assert_eq!(delivery.attempt, 2);
    delivery.settle(Settlement::Dead { reason: DeadReason::Exhausted, error: "-1".into() }).await.unwrap();
    assert_eq!(queue.dead_letters(1).await[0].attempts, 3, "the postponements count for nothing");
}

pub(super) async fn a_postponed_message_lets_the_users_later_messages_pass(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    publish(&publisher, &user(0, 0), 1..=2).await;
    postpone(next(&mut consumer).await, NEXT_RETRY).await;
    let second = next(&mut consumer).await;
    assert_eq!(number(&second), 2);
    done(second).await;
    assert_eq!(number(&next(&mut consumer).await), 1);
}

pub(super) async fn a_retry_lets_the_users_later_messages_pass(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    publish(&publisher, &user(0, 0), 1..=2).await;
    let first = next(&mut consumer).await;
    assert_eq!(number(&first), 1);
    retry(first, NEXT_RETRY).await;
    let second = next(&mut consumer).await;
    assert_eq!(number(&second), 2);
    done(second).await;
    assert_eq!(number(&next(&mut consumer).await), 1);
}

pub(super) async fn a_retry_never_comes_back_early(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), [1]).await;
    let begun = Instant::now();
    let asked = SHORTEST_RETRY + Duration::from_millis(1);
    retry(next(&mut consumer).await, asked).await;
    done(next(&mut consumer).await).await;
    assert!(begun.elapsed() >= asked, "back after {:?}", begun.elapsed());
}

pub(super) async fn a_dead_letter_is_kept_with_its_reason_and_not_delivered_again(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    publish(&publisher, &user(0, 0), 1..=2).await;
    retry(next(&mut consumer).await, SHORTEST_RETRY).await;
    done(next(&mut consumer).await).await;
    dead(&mut consumer, DeadReason::Exhausted, "errcode -1 again").await;
    publish(&publisher, &user(0, 0), [3]).await;
    assert_eq!(number(&next(&mut consumer).await), 3);
    let expected = DeadLetter {
        body: envelope(&user(0, 0), 1).to_json(),
        reason: "exhausted".into(),
        error: "errcode -1 again".into(),
        attempts: 2,
    };
    assert_eq!(queue.dead_letters(1).await, [expected]);
}

pub(super) async fn what_cannot_be_read_is_a_delivery_and_becomes_a_dead_letter_unchanged(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    let mut newer = envelope(&user(0, 0), 1);
    newer.v = 99;
    publisher.publish(&newer).await.unwrap();
    let delivery = next(&mut consumer).await;
    let unread = delivery.envelope.as_ref().err().cloned();
    assert!(matches!(unread, Some(EnvelopeError::Version { found: 99 })), "{unread:?}");
    let error = unread.unwrap().to_string();
    let undecodable = Settlement::Dead { reason: DeadReason::Undecodable, error: error.clone() };
    delivery.settle(undecodable).await.unwrap();
    let expected = DeadLetter { body: newer.to_json(), reason: "undecodable".into(), error, attempts: 1 };
    assert_eq!(queue.dead_letters(1).await, [expected]);
}

async fn retry(delivery: Delivery, after: Duration) {
    delivery
        .settle(Settlement::Retry { after, error: "errcode -1".into() })
        .await
        .expect("the delivery can be settled");
}

async fn postpone(delivery: Delivery, after: Duration) {
    let settlement = Settlement::Postpone { after, error: "the account is paused".into() };
    delivery.settle(settlement).await.expect("the delivery can be settled");
}

async fn dead(consumer: &mut Box<dyn Consumer>, reason: DeadReason, error: &str) {
    let settlement = Settlement::Dead { reason, error: error.into() };
    next(consumer).await.settle(settlement).await.expect("the delivery can be settled");
}
