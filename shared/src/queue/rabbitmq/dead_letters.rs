//! The queue `kefu.dead`.
//!
//! All of it is taken without acknowledgements, and only then gone through: closing the channel puts back what is not
//! acknowledged, as this queue has no delivery limit. The broker puts it in front of what was never taken, but behind
//! what went back before; so the order is not the queue's, which an interrupted walk may have changed, but that of the
//! times of death.

use std::time::Duration;

use async_trait::async_trait;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::time::timeout;

use super::fault::{Fault, protocol_code};
use super::message::{Message, Original};
use super::settings::{Address, Settings, SettingsError};
use super::topology::DEAD;
use crate::partition::Partition;
use crate::queue::QueueError;
use crate::queue::dead_letters::{DeadLetter, DeadLetters, Walk};

mod headers;

/// For one thing that the broker is asked; somebody is waiting at a terminal.
const PATIENCE: Duration = Duration::from_secs(8);

/// The dead letters of a broker. It connects anew for each walk, and says so when that fails.
pub(super) struct OnRabbitMq {
    address: Address,
    partitions: u16,
}

impl OnRabbitMq {
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self { address: settings.check()?, partitions: settings.partitions })
    }
}

#[async_trait]
impl DeadLetters for OnRabbitMq {
    async fn walk(&self) -> Result<Box<dyn Walk>, QueueError> {
        let properties = ConnectionProperties::default().with_connection_name("kefu dead letters".into());
        let connection = ask("a connection", Connection::connect_uri(self.address.uri.clone(), properties));
        let connection = connection.await.map_err(|error| self.at(error))?;
        let open = async {
            let channel = ask("a channel", connection.create_channel()).await?;
            let outlet = ask("a channel", connection.create_channel()).await?;
            ask("confirms", outlet.confirm_select(ConfirmSelectOptions::default())).await?;
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            let queue = ask("kefu.dead", channel.queue_declare(DEAD.into(), passive, FieldTable::default())).await?;
            Ok((channel, outlet, queue.message_count()))
        };
        let (channel, outlet, count) = open.await.map_err(|error| self.at(error))?;
        let taken = take(&channel, count).await?.into_iter();
        Ok(Box::new(OnTheWay { connection, channel, outlet, taken, partitions: self.partitions, current: None }))
    }
}

/// The first `count` messages, in the order in which they died. Those from before that was written down are the oldest.
async fn take(channel: &Channel, count: u32) -> Result<Vec<Delivery>, QueueError> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let got = ask("a dead letter", channel.basic_get(DEAD.into(), BasicGetOptions::default())).await?;
        // Somebody else took the rest.
        let Some(got) = got else { break };
        taken.push(got.delivery);
    }
    taken.sort_by_cached_key(|delivery| headers::died_at_ms(&delivery.properties));
    Ok(taken)
}

impl OnRabbitMq {
    /// The error with the broker's address, which the operator may have wrong.
    fn at(&self, error: QueueError) -> QueueError {
        match error {
            QueueError::Unavailable(reason) => QueueError::Unavailable(format!("{}: {reason}", self.address)),
            other => other,
        }
    }
}

struct OnTheWay {
    connection: Connection,
    /// Holds what was taken.
    channel: Channel,
    /// With confirms.
    outlet: Channel,
    /// Those that are still to be gone through.
    taken: std::vec::IntoIter<Delivery>,
    partitions: u16,
    current: Option<Current>,
}

/// The dead letter that [`Walk::next`] gave last.
struct Current {
    original: Original,
    acker: Acker,
    /// Where it can be replayed to.
    target: Option<Partition>,
}

#[async_trait]
impl Walk for OnTheWay {
    async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        self.current = None;
        let Some(mut delivery) = self.taken.next() else { return Ok(None) };
        let letter = headers::letter(&delivery);
        // The number of partitions may have changed since: nobody would look into the old one.
        let target = match &letter.envelope {
            Ok(envelope) => Some(envelope.partition(self.partitions)),
            Err(_) => letter.partition.filter(|partition| partition.index() < self.partitions),
        };
        let acker = delivery.acker.clone();
        let original = Original::of(&mut delivery, letter.partition.unwrap_or(Partition::from(0)));
        self.current = Some(Current { original, acker, target });
        Ok(Some(letter))
    }

    async fn replay(&mut self) -> Result<(), QueueError> {
        let Some(Current { original, acker, target }) = self.current.take() else { return Err(QueueError::Stale) };
        let target = target.ok_or_else(|| {
            let why = "it is no envelope, and which partition it came from is not known";
            QueueError::Refused(why.to_owned())
        })?;
        let Message { exchange, routing_key, properties, body } = original.replayed(target.to_string());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirmed = async {
            self.outlet.basic_publish(exchange.into(), routing_key.into(), options, &body, properties).await?.await
        };
        match ask("the word that the message is stored", confirmed).await {
            Ok(Confirmation::Ack(None)) => acknowledge(acker).await,
            Ok(Confirmation::Ack(Some(_))) => Err(QueueError::Refused("no queue is bound for it".into())),
            Ok(_) => Err(QueueError::Refused("the broker did not store it; is its partition's queue full?".into())),
            Err(_) if self.connection.status().blocked() => {
                Err(QueueError::Blocked("the broker is low on memory or disk".into()))
            }
            Err(error) => Err(error),
        }
    }

    async fn discard(&mut self) -> Result<(), QueueError> {
        let Some(current) = self.current.take() else { return Err(QueueError::Stale) };
        acknowledge(current.acker).await
    }

    /// The broker answers once it has worked off all that came before on the channel, the acknowledgements too.
    async fn close(self: Box<Self>) -> Result<(), QueueError> {
        let closed = match self.channel.status().connected() {
            true => ask("the end", self.channel.close(200, "OK".into())).await,
            false => Ok(()),
        };
        // What the connection still says changes nothing any more.
        let _ended = timeout(Duration::from_secs(2), self.connection.close(200, "OK".into())).await;
        closed
    }
}

async fn acknowledge(acker: Acker) -> Result<(), QueueError> {
    match ask("an acknowledgement", acker.ack(BasicAckOptions::default())).await? {
        true => Ok(()),
        false => Err(QueueError::Unavailable("the connection was lost".into())),
    }
}

/// The broker's answer, in words if it is an error or does not come.
async fn ask<T>(what: &str, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    let unavailable = |text: String| Err(QueueError::Unavailable(text));
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => match protocol_code(&error) {
            Some((404, _)) => unavailable(format!(
                "the broker has no queue {DEAD}: no kefu has run on this vhost yet, or the URL is another one's"
            )),
            _ => unavailable(Fault::of(&error).text().to_owned()),
        },
        Err(_) => unavailable(format!("the broker did not answer within {} s: {what}", PATIENCE.as_secs())),
    }
}
