//! The exchanges and queues that kefu declares, as one table, and the words for a broker that has others.

use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::partition::Partition;
use kefu_runtime::Cause;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use tokio::time::timeout;

use super::fault::{Fault, protocol_code};
use super::settings::Settings;

pub(super) mod inspect;

/// The exchange for envelopes; the routing key is the partition's name.
pub(super) const IN: &str = "kefu.in";
/// The exchange and the queue of dead letters.
pub(super) const DEAD: &str = "kefu.dead";
/// The exchange and the queue for messages that no partition queue is bound for. Never used as long as the table stands.
pub(super) const UNROUTED: &str = "kefu.unrouted";

/// How long a delivery may be unsettled before the broker takes it back, together with all others of its channel. The
/// brokers' default, 30 minutes, is too short: a message waits for earlier messages of the same user, which may all be
/// retried, and for as long as the store is down. The time must end at some point, because nothing behind an unsettled
/// message leaves the broker's log. This is an argument of the queue, as an argument of the consumer has no effect on 4.0.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// For queues that kefu only looks into: since 4.0 the broker's own limit is 20, and the broker would then drop the
/// message.
const NO_DELIVERY_LIMIT: i32 = i32::MAX;
/// The time for one declaration; creating a quorum queue on a busy disk takes a while.
const DECLARATION: Duration = Duration::from_secs(15);

/// The queue that holds the messages of a partition.
pub(super) fn partition_queue(partition: Partition) -> String {
    format!("{IN}.{partition}")
}

/// Whether a queue is the queue of a partition.
fn is_partition(queue: &str) -> bool {
    queue.strip_prefix(IN).is_some_and(|rest| rest.starts_with(".p"))
}

/// One stop on the way back to a partition: a queue whose messages expire into [`IN`] after the delay.
#[derive(Debug, Clone)]
struct RetryQueue {
    delay: Duration,
    name: String,
}

struct Exchange {
    name: String,
    kind: ExchangeKind,
    arguments: FieldTable,
}

struct Queue {
    name: String,
    exchange: String,
    routing_key: String,
    arguments: FieldTable,
}

/// The declarations for one configuration.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    partitions: u16,
    delivery_limit: u16,
    /// Shortest first, at least one.
    retries: Vec<RetryQueue>,
}

impl Topology {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut delays = settings.retry_delays.clone();
        delays.sort();
        delays.dedup();
        let retries =
            delays.into_iter().map(|delay| RetryQueue { delay, name: format!("kefu.retry.{}", label(delay)) });
        Self { partitions: settings.partitions, delivery_limit: settings.delivery_limit, retries: retries.collect() }
    }

    /// The partition for a message among the configured ones.
    pub(super) fn partition_of(&self, envelope: &Envelope) -> Partition {
        envelope.partition(self.partitions)
    }

    /// The exchange for a message that should come back after `after`: the exchange of the shortest delay that is not
    /// shorter, else of the longest delay.
    pub(super) fn retry_exchange(&self, after: Duration) -> &str {
        let retry = self.retries.iter().find(|retry| retry.delay >= after).or(self.retries.last());
        retry.map_or(DEAD, |retry| &retry.name)
    }

    /// Declares everything. Declaring an existing queue or exchange changes nothing.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), Fault> {
        let channel = within("channel for declarations", connection.create_channel()).await?;
        for exchange in self.exchanges() {
            let name = format!("exchange {}", exchange.name);
            within(&name, declare_exchange(&channel, exchange)).await?;
        }
        for queue in self.queues() {
            let name = format!("queue {}", queue.name);
            within(&name, declare_queue(&channel, queue)).await?;
        }
        within("close of the channel", channel.close(200, "OK".into())).await
    }

    fn exchanges(&self) -> impl Iterator<Item = Exchange> {
        let fixed = [
            (UNROUTED, ExchangeKind::Fanout, table([])),
            (DEAD, ExchangeKind::Fanout, table([])),
            (IN, ExchangeKind::Direct, table([("alternate-exchange", text(UNROUTED))])),
        ];
        let fixed = fixed.map(|(name, kind, arguments)| Exchange { name: name.into(), kind, arguments });
        let retries = self.retries.iter().map(|retry| Exchange {
            name: retry.name.clone(),
            kind: ExchangeKind::Fanout,
            arguments: table([]),
        });
        fixed.into_iter().chain(retries)
    }

    fn queues(&self) -> impl Iterator<Item = Queue> {
        let kept = [UNROUTED, DEAD].map(|name| Queue {
            name: name.into(),
            exchange: name.into(),
            routing_key: String::new(),
            arguments: table([("x-delivery-limit", NO_DELIVERY_LIMIT.into())]),
        });
        let partitions = Partition::all(self.partitions).map(|partition| Queue {
            name: partition_queue(partition),
            exchange: IN.into(),
            routing_key: partition.to_string(),
            arguments: table([
                ("x-single-active-consumer", true.into()),
                ("x-delivery-limit", i32::from(self.delivery_limit).into()),
                ("x-consumer-timeout", millis(CONSUMER_TIMEOUT).into()),
                ("x-dead-letter-exchange", text(DEAD)),
                ("x-dead-letter-strategy", text("at-least-once")),
                // Without this argument the broker quietly falls back to dead-lettering at most once.
                ("x-overflow", text("reject-publish")),
            ]),
        });
        let retries = self.retries.iter().map(|retry| Queue {
            name: retry.name.clone(),
            exchange: retry.name.clone(),
            routing_key: String::new(),
            // No dead letter routing key: the message keeps its own, which is its partition.
            arguments: table([
                ("x-message-ttl", AMQPValue::LongLongInt(millis(retry.delay))),
                ("x-dead-letter-exchange", text(IN)),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ]),
        });
        kept.into_iter().chain(partitions).chain(retries)
    }
}

async fn declare_exchange(channel: &Channel, exchange: Exchange) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(exchange.name.into(), exchange.kind, options, exchange.arguments).await
}

async fn declare_only(channel: &Channel, mut queue: Queue) -> lapin::Result<()> {
    queue.arguments.insert("x-queue-type".into(), text("quorum"));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.name.into(), options, queue.arguments).await.map(drop)
}

async fn declare_queue(channel: &Channel, queue: Queue) -> lapin::Result<()> {
    let bind = (queue.name.clone().into(), queue.exchange.clone().into(), queue.routing_key.clone().into());
    declare_only(channel, queue).await?;
    channel.queue_bind(bind.0, bind.1, bind.2, QueueBindOptions::default(), FieldTable::default()).await
}

/// How many messages wait in a queue, and its consumers. An error if the queue does not exist.
pub(super) async fn sizes(channel: &Channel, queue: &str) -> lapin::Result<lapin::Queue> {
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    channel.queue_declare(queue.into(), passive, FieldTable::default()).await
}

async fn within<T>(what: &str, declaration: impl Future<Output = lapin::Result<T>>) -> Result<T, Fault> {
    match timeout(DECLARATION, declaration).await {
        Ok(result) => result.map_err(|error| refusal(what, &error)),
        Err(_) => Err(Fault::Passing(
            format!("the broker did not answer within {} s when asked for the {what}", DECLARATION.as_secs()).into(),
        )),
    }
}

/// The operator's text for a failed declaration.
fn refusal(what: &str, error: &lapin::Error) -> Fault {
    let lasting = |text: String| Fault::Lasting(text.into());
    match protocol_code(error) {
        Some((406, reason)) if reason.contains("inequivalent") => lasting(format!(
            "the broker has a {what} that is not the one kefu needs ({reason}): empty it and delete it, or remove the \
             policy that changed it; kefu then declares the {what} again by itself"
        )),
        Some((406, reason)) => lasting(format!(
            "the broker cannot make the {what} that kefu needs ({reason}): use RabbitMQ 4.0 or later, at least 3.10"
        )),
        Some((403, reason)) => lasting(format!(
            "the broker does not let this user declare the {what} ({reason}): give the user the permissions configure, \
             write and read for all names that start with \"kefu.\""
        )),
        Some((530, _)) | None => Fault::of(error),
        // A declaration has nothing of a message that the broker could repeat.
        Some((_, reason)) => Fault::Passing(Cause::new(format!("the broker cannot make the {what}: {reason}"), error)),
    }
}

fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn millis(delay: Duration) -> i64 {
    i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)
}

/// `5s`, `30s`, `2m`, `10m`, `1h`; the largest unit that fits without a rest.
fn label(delay: Duration) -> String {
    match millis(delay) {
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        Topology::new(&Settings::new("amqp://localhost".into(), 8))
    }

    #[test]
    fn the_names_are_the_documented_ones() {
        let topology = topology();
        let queues: Vec<String> = topology.queues().map(|queue| queue.name).collect();
        assert_eq!(queues.len(), 2 + 8 + 5);
        for name in [
            "kefu.in.p00",
            "kefu.in.p07",
            "kefu.retry.5s",
            "kefu.retry.30s",
            "kefu.retry.2m",
            "kefu.retry.10m",
            "kefu.retry.1h",
            "kefu.dead",
            "kefu.unrouted",
        ] {
            assert!(queues.iter().any(|queue| queue == name), "{name} is missing in {queues:?}");
        }
    }

    #[test]
    fn a_retry_waits_at_least_as_long_as_asked_and_an_hour_at_most() {
        let topology = topology();
        let exchange = |seconds| topology.retry_exchange(Duration::from_secs(seconds));
        assert_eq!(exchange(0), "kefu.retry.5s");
        assert_eq!(exchange(5), "kefu.retry.5s");
        assert_eq!(exchange(6), "kefu.retry.30s");
        assert_eq!(exchange(3_600), "kefu.retry.1h");
        assert_eq!(exchange(90_000), "kefu.retry.1h");
    }

    #[test]
    fn a_delay_is_named_by_its_largest_whole_unit() {
        assert_eq!(label(Duration::from_millis(200)), "200ms");
        assert_eq!(label(Duration::from_secs(90)), "90s");
        assert_eq!(label(Duration::from_secs(120)), "2m");
        assert_eq!(label(Duration::from_secs(7_200)), "2h");
    }
}
