//! What only the operator can mend is said in words; what the broker lost is declared again.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_queue::QueueError;
use kefu_queue::rabbitmq::Settings;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

use super::super::{InTurn, PATIENCE, Queue, envelope, next, number, publish, user};
use super::{down, on_a_server, publisher, up};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_named_with_what_to_do_and_then_mended() {
    let queue = on_a_server().await;
    let channel = queue.channel().await;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare("kefu.in.p02".into(), durable, FieldTable::default()).await.unwrap();
    let publisher = publisher(&queue.settings()).unwrap();
    let reason = said(&publisher, "queue kefu.in.p02").await;
    for word in ["PRECONDITION_FAILED", "inequivalent arg", "delete it"] {
        assert!(reason.contains(word), "{word} is not in: {reason}");
    }
    channel.queue_delete("kefu.in.p02".into(), QueueDeleteOptions::default()).await.unwrap();
    up(|| publisher.health()).await;
    publish(&publisher, &user(2, 0), [1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_reported_without_the_password() {
    let queue = on_a_server().await;
    let url = queue.vhost.url().replace("guest:guest", "guest:hunter2");
    let publisher = publisher(&Settings::new(url.into(), 4)).unwrap();
    let reason = said(&publisher, "refuses access").await;
    assert!(reason.contains("check the user and password"), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_vhost_is_reported() {
    let queue = on_a_server().await;
    let url = queue.vhost.url().replace(queue.vhost.name(), "nowhere");
    let publisher = publisher(&Settings::new(url.into(), 4)).unwrap();
    let reason = said(&publisher, "nowhere").await;
    assert!(reason.contains("check the vhost"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_declare_is_told_which_permissions_are_missing() {
    let queue = on_a_server().await;
    let (name, broker) = (queue.vhost.name(), queue.vhost.broker());
    broker.rabbitmqctl(&["add_user", name, "secret"]).await;
    broker.rabbitmqctl(&["set_permissions", "-p", name, name, "^$", ".*", ".*"]).await;
    let url = queue.vhost.url().replace("guest:guest", &format!("{name}:secret"));
    let publisher = publisher(&Settings::new(url.into(), 4)).unwrap();
    let reason = said(&publisher, "permissions configure, write and read").await;
    broker.rabbitmqctl(&["delete_user", name]).await;
    assert!(!reason.contains("secret"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_under_a_running_publisher_is_declared_again() {
    let queue = on_a_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    publish(&publisher, &user(0, 0), [1]).await;
    let channel = queue.channel().await;
    channel.exchange_delete("kefu.in".into(), ExchangeDeleteOptions::default()).await.unwrap();
    let lost = publisher.publish(&envelope(&user(0, 0), 2)).await;
    assert!(matches!(lost, Err(QueueError::Unavailable(_))), "{lost:?}");
    publish(&publisher, &user(0, 0), [3]).await;
    let numbers = [number(&next(&mut consumer).await), number(&next(&mut consumer).await)];
    assert_eq!(numbers, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_deleted_under_a_running_consumer_is_declared_again() {
    let queue = on_a_server().await;
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 10).await);
    let channel = queue.channel().await;
    channel.queue_delete("kefu.in.p00".into(), QueueDeleteOptions::default()).await.unwrap();
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    eventually(PATIENCE, "the queue is there again", async || {
        let channel = queue.channel().await;
        channel.queue_declare("kefu.in.p00".into(), passive, FieldTable::default()).await.map(drop)
    })
    .await;
    // It is bound a moment after it is there.
    up(|| consumer.health()).await;
    publish(&publisher, &user(0, 0), [1]).await;
    assert_eq!(number(&next(&mut consumer).await), 1);
}

/// Waits until the publisher says so.
async fn said(publisher: &InTurn, words: &str) -> String {
    eventually(PATIENCE, words, async || {
        let reason = down(Duration::from_secs(30), || publisher.health()).await;
        if reason.contains(words) { Ok(reason) } else { Err(reason) }
    })
    .await
}
