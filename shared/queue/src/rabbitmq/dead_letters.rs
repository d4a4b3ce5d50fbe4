//! The queue `kefu.dead`.
//!
//! All of it is taken without acknowledgements, and only then gone through: closing the channel puts back what is not
//! acknowledged, as this queue has no delivery limit. It is consumed, not got: each `basic.get` of a quorum queue is a
//! consumer of its own to the broker, which puts back what several had in no order. And what goes back comes behind what
//! went back before; so an interrupted walk may change the queue's order, and the times of death count before it.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use kefu_messages::partition::Partition;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::time::timeout;

use super::fault::{Fault, protocol_code};
use super::message::{Message, Original};
use super::settings::{Address, Settings, SettingsError};
use super::topology::DEAD;
use crate::QueueError;
use crate::dead_letters::{DeadLetter, DeadLetters, Walk};

mod headers;

/// For one thing that the broker is asked; somebody is waiting at a terminal.
const PATIENCE: Duration = Duration::from_secs(8);
/// How many acknowledgements a channel is trusted with. What a channel of RabbitMQ has beyond 32 on their way to a quorum
/// queue it keeps to itself for a while, and forgets when it is closed: the messages come back.
const ON_THEIR_WAY: usize = 16;
/// After so long without a message it is asked how many there are.
const LOOK: Duration = Duration::from_secs(1);

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
            let outlet = ask("a channel", connection.create_channel()).await?;
            ask("confirms", outlet.confirm_select(ConfirmSelectOptions::default())).await?;
            let count = count(&outlet).await?;
            Ok((outlet, count))
        };
        let (outlet, count) = open.await.map_err(|error| self.at(error))?;
        let (mut hands, mut taken) = (Vec::<Hand>::new(), Vec::new());
        while let left @ 1.. = count - taken.len() {
            let (hand, deliveries) = Hand::take(&connection, left).await?;
            let none_came = deliveries.is_empty();
            taken.extend(deliveries.into_iter().map(|delivery| (hands.len(), delivery)));
            hands.push(hand);
            if none_came {
                break;
            }
        }
        // Those from before it was written down are the oldest.
        taken.sort_by_cached_key(|(_, delivery)| headers::died_at_ms(&delivery.properties));
        let (taken, partitions) = (taken.into_iter(), self.partitions);
        Ok(Box::new(OnTheWay { connection, hands, outlet, taken, partitions, current: None }))
    }
}

/// How many messages wait in the queue.
async fn count(channel: &Channel) -> Result<usize, QueueError> {
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = ask("kefu.dead", channel.queue_declare(DEAD.into(), passive, FieldTable::default())).await?;
    Ok(usize::try_from(queue.message_count()).unwrap_or(usize::MAX))
}

/// A channel that holds messages.
struct Hand {
    channel: Channel,
    /// Dropped before the channel is closed, it would be cancelled.
    _consumer: lapin::Consumer,
    /// Acknowledgements that may not have reached the queue.
    on_their_way: usize,
}

impl Hand {
    /// Takes messages from the front of the queue: `most`, if so many are there and can be held.
    async fn take(connection: &Connection, most: usize) -> Result<(Self, Vec<Delivery>), QueueError> {
        let mut taken = Vec::new();
        let channel = ask("a channel", connection.create_channel()).await?;
        let most = u16::try_from(most).unwrap_or(u16::MAX);
        ask("a prefetch", channel.basic_qos(most, BasicQosOptions::default())).await?;
        let consume =
            channel.basic_consume(DEAD.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer = ask("a consumer", consume).await?;
        let mut silence = Duration::ZERO;
        for _ in 0..most {
            let delivery = loop {
                match timeout(LOOK, consumer.next()).await {
                    Ok(Some(Ok(delivery))) => break Some(delivery),
                    Ok(_) => return Err(QueueError::Unavailable("the connection was lost".into())),
                    // Somebody else took the rest.
                    Err(_) if count(&channel).await? == 0 => break None,
                    Err(_) if silence >= PATIENCE => {
                        return Err(QueueError::Unavailable("the broker does not hand the dead letters out".into()));
                    }
                    Err(_) => silence += LOOK,
                }
            };
            let Some(delivery) = delivery else { break };
            silence = Duration::ZERO;
            taken.push(delivery);
        }
        Ok((Self { channel, _consumer: consumer, on_their_way: 0 }, taken))
    }

    async fn acknowledge(&mut self, acker: &Acker) -> Result<(), QueueError> {
        if !ask("an acknowledgement", acker.ack(BasicAckOptions::default())).await? {
            return Err(QueueError::Unavailable("the connection was lost".into()));
        }
        self.on_their_way += 1;
        if self.on_their_way >= ON_THEIR_WAY { self.arrive().await } else { Ok(()) }
    }

    /// Returns when the queue has every acknowledgement. A `basic.get` is answered by the queue itself, after all that the
    /// channel had told it before; a letter that it brings has come in meanwhile, and goes back at the end.
    async fn arrive(&mut self) -> Result<(), QueueError> {
        ask("its queue", self.channel.basic_get(DEAD.into(), BasicGetOptions::default())).await?;
        self.on_their_way = 0;
        Ok(())
    }

    /// Puts back what is not acknowledged.
    async fn put_back(mut self) -> Result<(), QueueError> {
        if self.channel.status().connected() && self.on_their_way > 0 {
            self.arrive().await?;
        }
        if self.channel.status().connected() {
            ask("the end", self.channel.close(200, "OK".into())).await
        } else {
            Ok(())
        }
    }
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
    /// They hold what was taken, each as much as a channel can.
    hands: Vec<Hand>,
    /// With confirms.
    outlet: Channel,
    /// Those that are still to be gone through.
    taken: std::vec::IntoIter<(usize, Delivery)>,
    partitions: u16,
    current: Option<Current>,
}

/// The dead letter that [`Walk::next`] gave last.
struct Current {
    original: Original,
    acker: Acker,
    /// Which of the hands holds it.
    hand: usize,
    /// Where it can be replayed to.
    target: Option<Partition>,
}

#[async_trait]
impl Walk for OnTheWay {
    async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        self.current = None;
        let Some((hand, mut delivery)) = self.taken.next() else { return Ok(None) };
        let letter = headers::letter(&delivery);
        // The number of partitions may have changed since: nobody would look into the old one.
        let target = match &letter.envelope {
            Ok(envelope) => Some(envelope.partition_for_replay(self.partitions)),
            Err(_) => letter.partition.filter(|partition| partition.index() < self.partitions),
        };
        let acker = delivery.acker.clone();
        let original = Original::of(&mut delivery, letter.partition.unwrap_or(Partition::from(0)));
        self.current = Some(Current { original, acker, hand, target });
        Ok(Some(letter))
    }

    async fn replay(&mut self) -> Result<(), QueueError> {
        let Some(Current { original, acker, hand, target }) = self.current.take() else {
            return Err(QueueError::Stale);
        };
        let target = target.ok_or_else(|| {
            let why = "it is no envelope, and which partition it came from is not known";
            QueueError::Refused(why.to_owned())
        })?;
        let Message { exchange, routing_key, properties, body } = original.replayed(target.to_string());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        #[expect(clippy::disallowed_methods, reason = "the confirm is awaited here")]
        let confirmed = async {
            self.outlet.basic_publish(exchange.into(), routing_key.into(), options, &body, properties).await?.await
        };
        match ask("the word that the message is stored", confirmed).await {
            Ok(Confirmation::Ack(None)) => self.hands[hand].acknowledge(&acker).await,
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
        self.hands[current.hand].acknowledge(&current.acker).await
    }

    async fn close(self: Box<Self>) -> Result<(), QueueError> {
        let mut closed = Ok(());
        // In their order, which the messages then keep.
        for hand in self.hands {
            if closed.is_ok() {
                closed = hand.put_back().await;
            }
        }
        // What the connection still says changes nothing any more.
        let _ended = timeout(Duration::from_secs(2), self.connection.close(200, "OK".into())).await;
        closed
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
