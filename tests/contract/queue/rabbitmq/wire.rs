//! What goes over the wire, for operators and other programs.

use std::time::{Duration, Instant};

use kefu_harness::eventually;
use kefu_messages::envelope::EnvelopeError;
use kefu_queue::rabbitmq::{Settings, consumer};
use kefu_queue::{ConsumerOptions, DeadReason, QueueError, Settlement};
use lapin::BasicProperties;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};

use super::super::{
    DeadLetter, NEXT_RETRY, PATIENCE, Queue, SHORTEST_RETRY, done, envelope, next, number, publish, user,
};
use super::{OnRabbitMq, header, on_a_server, publisher, text};

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_is_published_with_the_documented_properties() {
    let queue = on_a_server().await;
    let publisher = queue.publisher().await;
    let channel = tapped(&queue, "kefu.in", "p03").await;
    let published = envelope(&user(3, 0), 1);
    publisher.publish(&published).await.unwrap();
    let got = channel.basic_get("tap".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("kefu.in", "p03"));
    assert_eq!(got.data, published.to_json());
    let properties = &got.properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), published.key.to_string());
    assert_eq!(*properties.timestamp(), Some(1_482_048_670));
    assert_eq!(text(properties, "traceparent"), published.traceparent.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_carries_its_attempt_its_first_sight_and_its_error() {
    let queue = on_a_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    let channel = tapped(&queue, "kefu.retry.200ms", "").await;
    publish(&publisher, &user(3, 0), [1]).await;
    let retry = Settlement::Retry { after: SHORTEST_RETRY, error: "errcode 45047".into() };
    next(&mut consumer).await.settle(retry).await.unwrap();
    let got = channel.basic_get("tap".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(got.routing_key.as_str(), "p03");
    assert_eq!(header(&got.properties, "x-attempt"), Some(AMQPValue::LongLongInt(1)));
    assert_eq!(text(&got.properties, "x-last-error"), "errcode 45047");
    assert!(matches!(header(&got.properties, "x-first-seen"), Some(AMQPValue::LongLongInt(1_700_000_000_000..))));
    assert!(header(&got.properties, "traceparent").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postponed_message_carries_its_attempt_unchanged_and_why_it_waits() {
    let queue = on_a_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    let channel = tapped(&queue, "kefu.retry.200ms", "").await;
    publish(&publisher, &user(3, 0), [1]).await;
    for (postpone, attempt) in [(true, 0), (false, 1), (true, 1)] {
        let (after, error) = (SHORTEST_RETRY, "paused".to_owned());
        let settlement =
            if postpone { Settlement::Postpone { after, error } } else { Settlement::Retry { after, error } };
        next(&mut consumer).await.settle(settlement).await.unwrap();
        let got = channel.basic_get("tap".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
        assert_eq!(got.routing_key.as_str(), "p03");
        assert_eq!(header(&got.properties, "x-attempt"), Some(AMQPValue::LongLongInt(attempt)));
        assert_eq!(text(&got.properties, "x-last-error"), "paused");
        assert!(header(&got.properties, "traceparent").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_takes_the_next_longer_delay_there_is_and_at_most_the_longest() {
    let queue = on_a_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    for after in [SHORTEST_RETRY + Duration::from_millis(1), Duration::from_secs(1_000_000)] {
        publish(&publisher, &user(0, 0), [1]).await;
        let begun = Instant::now();
        next(&mut consumer).await.settle(Settlement::Retry { after, error: "-1".into() }).await.unwrap();
        done(next(&mut consumer).await).await;
        assert!(begun.elapsed() >= NEXT_RETRY, "back after {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_envelope_at_all_becomes_a_dead_letter_unchanged() {
    let queue = on_a_server().await;
    let mut consumer = queue.consumer("a", 1).await;
    let (channel, body) = (queue.channel().await, [0xff, 0x00, b'{', 0xfe]);
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("kefu.in".into(), "p01".into(), options, &body, BasicProperties::default()).await;
    sent.unwrap().await.unwrap();
    let delivery = next(&mut consumer).await;
    assert!(matches!(delivery.envelope, Err(EnvelopeError::Malformed(_))));
    let dead = Settlement::Dead { reason: DeadReason::Undecodable, error: "no envelope".into() };
    delivery.settle(dead).await.unwrap();
    let reason = ("undecodable".into(), "no envelope".into());
    let expected = DeadLetter { body: body.to_vec(), reason: reason.0, error: reason.1, attempts: 1 };
    assert_eq!(queue.dead_letters(1).await, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses() {
    let queue = on_a_server().await;
    let publisher = queue.publisher().await;
    let limit = ["set_policy", "-p", queue.vhost.name(), "--apply-to", "queues", "full", "p00$", r#"{"max-length":1}"#];
    queue.vhost.broker().rabbitmqctl(&limit).await;
    let user = user(0, 0);
    let mut numbers = 1..=100;
    let refused = loop {
        let number = numbers.next().expect("a limit of 1 is reached before 100 messages");
        if let Err(error) = publisher.publish(&envelope(&user, number)).await {
            break error;
        }
    };
    assert!(matches!(refused, QueueError::Refused(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_dropped_again_and_again_becomes_a_dead_letter() {
    let queue = on_a_server().await;
    let settings = Settings { delivery_limit: 5, ..queue.settings() };
    let options = ConsumerOptions { id: "a".into(), prefetch: 10, seat: None };
    let (publisher, mut consumer) = (publisher(&settings).unwrap(), consumer(&settings, options).unwrap());
    publish(&publisher, &user(0, 0), [4]).await;
    for _ in 0..6 {
        drop(next(&mut consumer).await);
    }
    publish(&publisher, &user(0, 0), [5]).await;
    let after = next(&mut consumer).await;
    assert_eq!(number(&after), 5);
    done(after).await;
    let channel = queue.channel().await;
    let dead = eventually(PATIENCE, "the broker makes it a dead letter", async || {
        let got = channel.basic_get("kefu.dead".into(), BasicGetOptions { no_ack: true }).await.unwrap();
        got.ok_or("kefu.dead is empty")
    });
    let dead = dead.await;
    assert_eq!(dead.data, envelope(&user(0, 0), 4).to_json());
    assert_eq!(dead.routing_key.as_str(), "p00");
}

/// A channel with a queue `tap` that gets a copy of everything with this key.
async fn tapped(queue: &OnRabbitMq, exchange: &str, key: &str) -> lapin::Channel {
    let channel = queue.channel().await;
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare("tap".into(), exclusive, FieldTable::default()).await.unwrap();
    let bind = QueueBindOptions::default();
    channel.queue_bind("tap".into(), exchange.into(), key.into(), bind, FieldTable::default()).await.unwrap();
    channel
}
