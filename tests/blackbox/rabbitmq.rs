//! The RabbitMQ fixture.

use std::time::Duration;

use futures_util::FutureExt;
use kefu_harness::rabbitmq::{Depth, RabbitMq, Vhost};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

const QUEUE: &str = "q";

async fn connect(vhost: &Vhost) -> (Connection, Channel) {
    let connection = Connection::connect(&vhost.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel) {
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(QUEUE.into(), durable, quorum).await.unwrap();
}

async fn publish(channel: &Channel) {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent =
        channel.basic_publish("".into(), QUEUE.into(), BasicPublishOptions::default(), b"body", properties).await;
    assert!(sent.unwrap().await.unwrap().is_ack());
}

#[tokio::test]
async fn every_test_has_a_virtual_host_of_its_own() {
    let (one, other) = tokio::join!(RabbitMq::vhost(), RabbitMq::vhost());
    let (_connection, channel) = connect(&one).await;
    declare(&channel).await;
    assert_eq!(one.ready(QUEUE).await, Some(0));
    assert_eq!(other.ready(QUEUE).await, None, "a queue of another test's");
    assert_eq!(one.broker(), other.broker(), "one server for all");
}

#[tokio::test]
async fn a_virtual_host_goes_with_its_test() {
    let vhost = RabbitMq::vhost().await;
    let (broker, name) = (vhost.broker().clone(), vhost.name().to_owned());
    assert!(broker.rabbitmqctl(&["list_vhosts"]).await.contains(&name));
    drop(vhost);
    assert!(!broker.rabbitmqctl(&["list_vhosts"]).await.contains(&name));
}

#[tokio::test]
async fn the_depths_of_queues_are_those_of_the_server() {
    let vhost = RabbitMq::vhost().await;
    let (_connection, channel) = connect(&vhost).await;
    declare(&channel).await;
    publish(&channel).await;
    publish(&channel).await;
    let taken = channel.basic_get(QUEUE.into(), Default::default()).await.unwrap();
    assert!(taken.is_some());
    assert_eq!(vhost.ready(QUEUE).await, Some(1));
    assert_eq!(vhost.depths().await[QUEUE], Depth { ready: 1, unacknowledged: 1 });
}

/// One server for all of it, since each takes seconds to start.
#[tokio::test]
async fn an_own_server_can_crash_and_stop_and_be_full_without_losing_what_it_confirmed() {
    let mut server = RabbitMq::start_own().await;
    let vhost = server.fresh_vhost().await;
    assert!(vhost.broker().rabbitmqctl(&["version"]).await.starts_with('4'), "kefu wants RabbitMQ 4.0 or later");
    let (_connection, channel) = connect(&vhost).await;
    declare(&channel).await;
    publish(&channel).await;
    server.write_queue_names_down().await;

    server.kill();
    assert!(Connection::connect(&vhost.url(), ConnectionProperties::default()).await.is_err(), "it is dead");
    server.restart().await;
    assert_eq!(vhost.ready(QUEUE).await, Some(1), "what was confirmed before the crash");

    let (_connection, channel) = connect(&vhost).await;
    server.stop_signal();
    let silent = tokio::time::timeout(Duration::from_millis(300), publish(&channel)).await;
    assert!(silent.is_err(), "a stopped server confirmed");
    server.cont_signal();

    server.raise_memory_alarm().await;
    let (_blocked, channel) = connect(&vhost).await;
    let blocked = tokio::time::timeout(Duration::from_millis(300), publish(&channel)).await;
    assert!(blocked.is_err(), "a server with a memory alarm confirmed");
    server.clear_memory_alarm().await;
    let (_connection, channel) = connect(&vhost).await;
    publish(&channel).await;
}

#[tokio::test]
async fn asking_a_dead_server_starts_nothing() {
    let mut server = RabbitMq::start_own().await;
    let broker = server.broker().clone();
    server.kill();
    let asked = std::panic::AssertUnwindSafe(broker.rabbitmqctl(&["status"])).catch_unwind().await;
    assert!(asked.is_err(), "a dead server said {asked:?}");
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", broker.epmd_port())).await.is_err(), "there is an epmd now");
}
