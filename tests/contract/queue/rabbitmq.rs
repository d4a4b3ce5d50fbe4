//! The contract on RabbitMQ, and what only RabbitMQ can do wrong.

use std::sync::Arc;
use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::rabbitmq::{RabbitMq, Vhost};
use kefu_queue::dead_letters::DeadLetters;
use kefu_queue::rabbitmq::{self, Settings, SettingsError, consumer, dead_letters};
use kefu_queue::{Consumer, ConsumerOptions};
use kefu_runtime::health::Health;
use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use super::{DeadLetter, InTurn, NEXT_RETRY, PARTITIONS, PATIENCE, Queue, SHORTEST_RETRY, contract};

mod faults;
mod given_up;
mod sharing;
mod topology;
mod wire;

contract!(crate::queue::rabbitmq::on_a_server, crate::queue::rabbitmq::on_its_own_server);

/// A queue in a virtual host; with a server of its own if it is to be crashed.
struct OnRabbitMq {
    vhost: Vhost,
    server: Option<RabbitMq>,
}

/// A queue on the server that all tests share.
async fn on_a_server() -> OnRabbitMq {
    OnRabbitMq { vhost: RabbitMq::vhost().await, server: None }
}

/// A queue on a server of its own.
async fn on_its_own_server() -> OnRabbitMq {
    let server = RabbitMq::start_own().await;
    OnRabbitMq { vhost: server.fresh_vhost().await, server: Some(server) }
}

impl OnRabbitMq {
    fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.vhost.url().into(), PARTITIONS);
        settings.retry_delays = vec![SHORTEST_RETRY, NEXT_RETRY];
        settings
    }

    /// RabbitMQ notes which quorum queues it has some seconds after it made them; a crash before takes the queue with
    /// it, whatever it confirmed. Tests that crash it do not wait for that.
    async fn queues_are_registered(&self) {
        self.vhost.broker().rabbitmqctl(&["eval", "[ok = dets:sync(Table) || Table <- dets:all()]."]).await;
    }

    /// A channel of the test's own, to look behind the seam.
    async fn channel(&self) -> Channel {
        let connection = Connection::connect(&self.vhost.url(), ConnectionProperties::default()).await.unwrap();
        connection.create_channel().await.unwrap()
    }
}

/// A publisher in turn on the broker of `settings`.
fn publisher(settings: &Settings) -> Result<Arc<InTurn>, SettingsError> {
    rabbitmq::publisher(settings).map(InTurn::new)
}

impl Queue for OnRabbitMq {
    async fn publisher(&self) -> Arc<InTurn> {
        let publisher = publisher(&self.settings()).unwrap();
        up(|| publisher.health()).await;
        publisher
    }

    async fn consumer(&self, id: &str, prefetch: u16) -> Box<dyn Consumer> {
        let consumer = consumer(&self.settings(), ConsumerOptions { id: id.into(), prefetch, seat: None }).unwrap();
        up(|| consumer.health()).await;
        consumer
    }

    async fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let channel = self.channel().await;
        let mut letters = Vec::new();
        while letters.len() < count {
            let letter = eventually(PATIENCE, "a dead letter comes", async || {
                let got = channel.basic_get("kefu.dead".into(), BasicGetOptions { no_ack: true }).await.unwrap();
                got.ok_or("kefu.dead is empty")
            });
            let mut letter = letter.await;
            let headers = letter.properties.clone();
            letters.push(DeadLetter {
                body: std::mem::take(&mut letter.data),
                reason: text(&headers, "x-reason"),
                error: text(&headers, "x-error"),
                attempts: header(&headers, "x-attempts").and_then(|value| value.as_long_long_int()).unwrap_or(-1),
            });
        }
        letters
    }

    fn letters(&self) -> Arc<dyn DeadLetters> {
        dead_letters(&self.settings()).unwrap()
    }

    async fn crash(&mut self) {
        self.queues_are_registered().await;
        self.server.as_mut().expect("only a server of its own may be crashed").restart().await;
    }
}

async fn up(health: impl Fn() -> Health) {
    eventually(PATIENCE, "the connection is up", async || match health() {
        Health::Up => Ok(()),
        Health::Degraded(reason) | Health::Down(reason) => Err(reason),
    })
    .await;
}

/// Waits until it is down, and says why.
async fn down(within: Duration, health: impl Fn() -> Health) -> String {
    eventually(within, "the connection is down", async || match health() {
        Health::Up => Err("it is up"),
        Health::Degraded(reason) | Health::Down(reason) => Ok(reason),
    })
    .await
}

fn header(properties: &BasicProperties, name: &str) -> Option<AMQPValue> {
    properties.headers().as_ref()?.inner().get(name).cloned()
}

fn text(properties: &BasicProperties, name: &str) -> String {
    match header(properties, name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => format!("{other:?}"),
    }
}
