//! RabbitMQ.

use std::time::Duration;

use kefu_harness::port::PortLease;
use kefu_harness::process::Program;
use kefu_harness::rabbitmq::RabbitMq;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::{Backend, Servers};
use lapin::options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Clinic, doctor};

/// Nobody is there: these tests are about RabbitMQ.
fn no_store() -> String {
    format!("redis://127.0.0.1:{}", PortLease::take().port())
}

/// The connection must outlive the channel.
async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn a_vhost_that_kefu_has_not_seen_is_told_and_left_empty() {
    let clinic = Clinic::open().await;
    let vhost = RabbitMq::vhost().await;
    let report = doctor(&clinic.config(&vhost.url(), &no_store(), |text| text), &[]).await;
    report.says("rabbitmq", "ok", &["reached"]);
    report.says("rabbitmq queues", "warning", &["this vhost has none of kefu's queues yet", "start ingress"]);
    for queue in ["kefu.dead", "kefu.in.p00", "kefu.unrouted"] {
        assert_eq!(vhost.ready(queue).await, None, "{queue}");
    }
}

#[tokio::test]
async fn a_broker_that_is_away_refuses_the_login_or_hangs_is_told_in_time() {
    let clinic = Clinic::open().await;
    let vhost = RabbitMq::vhost().await;
    let away = format!("amqp://kefu:hush-hush@127.0.0.1:{}", PortLease::take().port());
    let refused = vhost.url().replace("guest:guest", "guest:hush-hush");
    let elsewhere = format!("{}-not", vhost.url());
    for (url, said) in [
        (&away, "Connection refused"),
        (&refused, "check the user and password in the AMQP URL"),
        (&elsewhere, "check the vhost in the AMQP URL"),
    ] {
        let report = doctor(&clinic.config(url, &no_store(), |text| text), &[]).await;
        report.says("rabbitmq", "failed", &[said, "correct [queue] url"]);
        assert!(!format!("{:?}", report.checks).contains("hush"), "{:#?}", report.checks);
    }
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://guest:guest@{}", silent.local_addr().unwrap());
    let report = doctor(&clinic.config(&url, &no_store(), |text| text), &[]).await;
    report.says("rabbitmq", "failed", &["no answer within 5 s"]);
    assert!(report.took < Duration::from_secs(20), "{:?}", report.took);
}

#[tokio::test]
async fn a_rabbitmq_before_4_is_told_by_its_version() {
    // What 3.13 says before the login; it then says no more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut header = [0; 8];
            if connection.read_exact(&mut header).await.is_ok() {
                connection.write_all(&start_of("3.13.7")).await.ok();
            }
        }
    });
    let clinic = Clinic::open().await;
    let url = format!("amqp://guest:guest@{address}");
    let report = doctor(&clinic.config(&url, &no_store(), |text| text), &[]).await;
    report.says("rabbitmq version", "failed", &["version 3.13.7 is too old", "update RabbitMQ to 4.0 or later"]);
}

#[tokio::test]
async fn the_plugins_are_those_that_the_management_page_lists_for_kefus_user() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let page = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        let read = connection.read(&mut request).await.unwrap();
        let body = r#"[{"name":"rabbit@one","enabled_plugins":["rabbitmq_management","rabbitmq_prometheus"]}]"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..read]).to_lowercase()
    });
    let clinic = Clinic::open().await;
    let away = format!("amqp://kefu:p%2Fw@127.0.0.1:{}", PortLease::take().port());
    let report = doctor(&clinic.config(&away, &no_store(), |text| text), &["--management-url", &page]).await;
    report.says("rabbitmq plugins", "ok", &["rabbitmq_management, rabbitmq_prometheus"]);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("get /api/nodes?columns=name,enabled_plugins http/1.1"), "{asked}");
    // kefu:p/w
    assert!(asked.contains("authorization: basic a2vmdtpwl3c="), "{asked}");
}

/// The frame `Connection.Start` of a broker of this version.
fn start_of(version: &str) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    let long = |text: &str| [length(text.as_bytes()), text.as_bytes().to_vec()].concat();
    let properties = [b"\x07versionS".to_vec(), long(version)].concat();
    let head = b"\0\x0a\0\x0a\0\x09".to_vec();
    let method = [head, length(&properties), properties, long("PLAIN"), long("en_US")].concat();
    [b"\x01\0\0".to_vec(), length(&method), method, vec![0xce]].concat()
}

#[tokio::test]
async fn queues_that_are_missing_or_other_ones_are_named() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    let (config, (_connection, channel)) = (shop.stack.config(), channel(&shop.stack.vhost().url()).await);
    for queue in ["kefu.retry.5s", "kefu.unrouted"] {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare("kefu.unrouted".into(), durable, FieldTable::default()).await.unwrap();
    let report = doctor(config, &[]).await;
    report.says("rabbitmq queues", "failed", &["1 missing: queue kefu.retry.5s", "restart ingress or a worker"]);
    report.says("rabbitmq queues", "failed", &["a queue kefu.unrouted that is not the one kefu needs"]);
    assert_eq!(shop.stack.vhost().ready("kefu.retry.5s").await, None, "it was made");

    let fewer = std::fs::read_to_string(config).unwrap().replace("partitions = 8", "partitions = 4");
    let other = config.with_file_name("fewer.toml");
    std::fs::write(&other, fewer).unwrap();
    doctor(&other, &[]).await.says("rabbitmq queues", "warning", &["the broker has kefu.in.p04", "partitions is 4"]);
}

#[tokio::test]
async fn a_missing_worker_and_dead_letters_are_told() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    let worker = shop.stack.programs.remove(1);
    worker.terminate();
    worker.end_within(Duration::from_secs(60)).await;
    let (_connection, channel) = channel(&shop.stack.vhost().url()).await;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish("kefu.dead".into(), "".into(), options, b"no envelope", properties).await.unwrap();
    kefu_harness::eventually(Duration::from_secs(30), "the dead letter is there", async || {
        match shop.stack.vhost().ready("kefu.dead").await {
            Some(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let report = doctor(shop.stack.config(), &[]).await;
    report.says("rabbitmq workers", "warning", &["no worker takes messages", "start kefu-worker"]);
    report.says("rabbitmq dead letters", "warning", &["1 dead letter", "kefu dead list"]);
    assert_eq!(shop.stack.vhost().ready("kefu.dead").await, Some(1));
}

#[tokio::test]
async fn workers_are_counted_by_their_seats_and_not_by_what_rabbitmq_counts() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    let second = Program::start(shop.stack.launch(1)).await;
    let config = shop.stack.config().clone();
    doctor(&config, &[]).await.says("rabbitmq workers", "ok", &["2 workers, every partition has a worker"]);
    second.terminate();
    second.end_within(Duration::from_secs(60)).await;
    doctor(&config, &[]).await.says("rabbitmq workers", "ok", &["1 worker, every partition has a worker"]);

    // A seat whose time is over is nobody's.
    let Servers::Production { redis, .. } = &shop.stack.servers else { unreachable!() };
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut over = redis::cmd("HSET");
    let () = over.arg("kefu:seats").arg("gone").arg("7 1000").query_async(&mut connection).await.unwrap();
    doctor(&config, &[]).await.says("rabbitmq workers", "ok", &["1 worker, every"]);

    // Without a store that tells, no number is made up.
    let text = std::fs::read_to_string(&config).unwrap().replace(&redis.url(), &no_store());
    let other = config.with_file_name("no-store.toml");
    std::fs::write(&other, text).unwrap();
    doctor(&other, &[]).await.says("rabbitmq workers", "ok: every partition has a worker, 0 messages wait", &[]);
}
