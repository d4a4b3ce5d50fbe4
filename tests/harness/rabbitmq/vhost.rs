//! A virtual host: a test's own corner of a shared RabbitMQ.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Confirmation, Connection, ConnectionProperties};
use uuid::Uuid;

use super::{Broker, management};

/// An empty virtual host. On the run's shared server it is deleted with all it holds on drop.
#[derive(Debug)]
pub struct Vhost {
    broker: Broker,
    name: String,
    shared: bool,
}

/// What a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that a consumer has and has not acknowledged.
    pub unacknowledged: u64,
}

/// A message that was taken off a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its routing key.
    pub key: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// A message on the queue of dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The word for why it is there.
    pub reason: String,
    /// The words.
    pub error: String,
    /// The body.
    pub envelope: serde_json::Value,
}

impl Vhost {
    pub(super) async fn create(broker: Broker, shared: bool) -> Self {
        let vhost = Self { broker, name: format!("test-{}", Uuid::new_v4().simple()), shared };
        let (broker, path) = (vhost.broker.clone(), vhost.path());
        let created = tokio::task::spawn_blocking(move || management::call(&broker, "PUT", &path)).await;
        match created.expect("calling does not panic") {
            Ok((201, _)) => vhost,
            other => panic!("the virtual host {} was not made: {other:?}\n{}", vhost.name, vhost.broker.log()),
        }
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/NAME`
    pub fn url(&self) -> String {
        format!("{}/{}", self.broker.url(), self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// How many messages of a queue wait for a consumer; `None` when there is no such queue.
    pub async fn ready(&self, queue: &str) -> Option<u32> {
        let connection = Connection::connect(&self.url(), ConnectionProperties::default()).await;
        let connection = connection.expect("the virtual host takes connections");
        let channel = connection.create_channel().await.expect("a connection gives channels");
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
        connection.close(200, "seen".into()).await.expect("an idle connection closes");
        declared.ok().map(|queue| queue.message_count())
    }

    /// What is on a queue of dead letters; it stays there.
    pub async fn dead_letters(&self, queue: &str) -> Vec<DeadLetter> {
        let connection = Connection::connect(&self.url(), ConnectionProperties::default()).await;
        let connection = connection.expect("the virtual host takes connections");
        let channel = connection.create_channel().await.expect("a connection gives channels");
        let mut letters = Vec::new();
        while let Some(got) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("it is a queue")
        {
            let headers = got.properties.headers().clone().unwrap_or_default();
            let text = |name: &str| match headers.inner().get(name) {
                Some(AMQPValue::LongString(text)) => text.to_string(),
                _ => String::new(),
            };
            let envelope = serde_json::from_slice(&got.data).unwrap_or_default();
            letters.push(DeadLetter { reason: text("x-reason"), error: text("x-error"), envelope });
        }
        // What was not acknowledged goes back.
        connection.close(200, "seen".into()).await.expect("an idle connection closes");
        letters
    }

    /// Takes all messages off a queue that were stored before this call, oldest first; none if there is no such queue.
    pub async fn take_all(&self, queue: &str) -> Vec<Taken> {
        let connection = Connection::connect(&self.url(), ConnectionProperties::default()).await;
        let connection = connection.expect("the virtual host takes connections");
        let channel = connection.create_channel().await.expect("a connection gives channels");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("a channel has confirms");
        // A message of its own marks the end: what a queue says of its length may be late.
        let end = Uuid::new_v4().simple().to_string();
        let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
        let marked =
            channel.basic_publish("".into(), queue.into(), mandatory, end.as_bytes(), Default::default()).await;
        let marked = marked.expect("the mark is published").await.expect("the mark is confirmed");
        let mut taken = Vec::new();
        if marked == Confirmation::Ack(None) {
            let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
            let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await;
            let mut deliveries = consumer.expect("it is a queue");
            loop {
                let delivery = deliveries.next().await.expect("the queue stays").expect("the connection stays");
                if delivery.data == end.as_bytes() {
                    break;
                }
                let (key, body) = (delivery.routing_key.to_string(), delivery.data);
                taken.push(Taken { key, body });
            }
        }
        connection.close(200, "seen".into()).await.expect("a connection closes");
        taken
    }

    /// The names of the queues that are bound to an exchange.
    pub async fn bound_to(&self, exchange: &str) -> BTreeSet<String> {
        let (broker, path) = (self.broker.clone(), format!("/api/exchanges/{}/{exchange}/bindings/source", self.name));
        let asked = tokio::task::spawn_blocking(move || management::call(&broker, "GET", &path)).await;
        let (_, bindings) = asked.expect("asking does not panic").expect("RabbitMQ's HTTP API answers");
        let bindings: Vec<serde_json::Value> = serde_json::from_str(&bindings).expect("the answer is a list");
        bindings.iter().filter_map(|binding| binding["destination"].as_str().map(str::to_owned)).collect()
    }

    /// Closes all connections of the virtual host, as an operator does; takes about a second.
    pub async fn close_all_connections(&self) {
        self.broker.rabbitmqctl(&["close_all_connections", "--vhost", &self.name, "by a test"]).await;
    }

    /// All its quorum queues by name, with what they hold right now; takes about a second.
    ///
    /// It asks the queues themselves: `rabbitmqctl list_queues` shows what they last reported, up to 5 s ago.
    pub async fn depths(&self) -> BTreeMap<String, Depth> {
        let ask = format!(
            "[begin
                {{resource, _, _, Name}} = amqqueue:get_name(Q),
                Ask = fun(What) -> {{ok, {{_, Is}}, _}} = ra:leader_query(amqqueue:get_pid(Q), What), Is end,
                {{Name, Ask(fun rabbit_fifo:query_messages_ready/1), Ask(fun rabbit_fifo:query_messages_checked_out/1)}}
            end || Q <- rabbit_amqqueue:list(<<\"{}\">>), amqqueue:get_type(Q) =:= rabbit_quorum_queue].",
            self.name
        );
        let printed = self.broker.rabbitmqctl(&["eval", &ask]).await;
        depths(&printed).unwrap_or_else(|| panic!("not a list of queues: {printed:?}"))
    }

    /// How many quorum queues with single active consumer each connection is the active consumer of, right now.
    pub async fn active_consumers(&self) -> Vec<usize> {
        let ask = format!(
            "lists:flatten([begin
                Ask = fun rabbit_fifo:query_single_active_consumer/1,
                case ra:leader_query(amqqueue:get_pid(Q), Ask) of
                    {{ok, {{_, {{value, {{_, Pid}}}}}}, _}} ->
                        [{{connection, Connection}}] = rabbit_channel:info(Pid, [connection]),
                        pid_to_list(Connection) ++ \";\";
                    _ -> []
                end
            end || Q <- rabbit_amqqueue:list(<<\"{}\">>), amqqueue:get_type(Q) =:= rabbit_quorum_queue]).",
            self.name
        );
        let printed = self.broker.rabbitmqctl(&["eval", &ask]).await;
        let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
        for connection in printed.trim().trim_matches('"').split_terminator(';') {
            *shares.entry(connection).or_default() += 1;
        }
        shares.into_values().collect()
    }

    fn path(&self) -> String {
        format!("/api/vhosts/{}", self.name)
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the virtual host was {}", self.url());
        }
        // A test's own server goes with all it holds, and may be dead or stopped by now.
        if self.shared {
            management::call(&self.broker, "DELETE", &self.path()).ok();
        }
    }
}

/// Reads `[{<<"name">>,1,2},…]`, with line breaks anywhere between the terms.
fn depths(printed: &str) -> Option<BTreeMap<String, Depth>> {
    let terms: String = printed.split_whitespace().collect();
    let list = terms.strip_prefix('[')?.strip_suffix(']')?;
    let read = |term: &str| {
        let (name, numbers) = term.trim_start_matches(',').strip_prefix("{<<\"")?.split_once("\">>,")?;
        let (ready, unacknowledged) = numbers.split_once(',')?;
        Some((name.to_owned(), Depth { ready: ready.parse().ok()?, unacknowledged: unacknowledged.parse().ok()? }))
    };
    list.split_terminator('}').map(read).collect()
}
