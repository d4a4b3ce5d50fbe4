//! The queue `kefu.dead`.
//!
//! A walk takes the whole queue without acknowledging anything, and only then goes through it. Closing the channel puts
//! back the unacknowledged messages, as this queue has no delivery limit. The walk consumes the queue and does not use
//! `basic.get`: to the broker each `basic.get` of a quorum queue is a consumer of its own, and the broker puts the messages
//! of several consumers back in no order. A message that goes back comes behind the messages that went back before. So an
//! interrupted walk may change the queue's order, and the times of death count before that order.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use kefu_messages::partition::Partition;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Connection};
use tokio::time::timeout;

use super::fault::{Fault, protocol_code};
use super::link;
use super::message::Original;
use super::pipeline::{publish, stored};
use super::settings::{Address, Settings, SettingsError};
use super::topology::{DEAD, sizes};
use crate::QueueError;
use crate::dead_letters::{DeadLetter, DeadLetters, Walk};

mod headers;

/// How long one question to the broker may take; somebody is waiting at a terminal.
const PATIENCE: Duration = Duration::from_secs(8);
/// How many acknowledgements may be under way on a channel. If a channel of RabbitMQ has more than 32 acknowledgements on
/// their way to a quorum queue, the channel keeps the rest to itself for a while, and forgets them when it is closed: their
/// messages come back.
const ON_THEIR_WAY: usize = 16;
/// After so long without a message the walk asks the queue how many messages it has.
const LOOK: Duration = Duration::from_secs(1);

/// The dead letters of a broker. Each walk connects anew, and says so when the connect fails.
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
        let connection = ask("a connection", self.address.connect("kefu dead letters"));
        let connection = connection.await.map_err(|error| self.at(error))?;
        match self.take_all(&connection).await {
            Ok((outlet, hands, taken)) => {
                let (taken, partitions) = (taken.into_iter(), self.partitions);
                Ok(Box::new(OnTheWay { connection, hands, outlet, taken, partitions, current: None }))
            }
            Err(error) => {
                link::close(&connection).await;
                Err(error)
            }
        }
    }
}

/// How many messages wait in the queue.
async fn count(channel: &Channel) -> Result<usize, QueueError> {
    let queue = ask("the size of kefu.dead", sizes(channel, DEAD)).await?;
    Ok(usize::try_from(queue.message_count()).unwrap_or(usize::MAX))
}

/// A channel that holds messages.
struct Hand {
    channel: Channel,
    /// The consumer must live as long as the channel: dropping the consumer would cancel it.
    _consumer: lapin::Consumer,
    /// Acknowledgements that may not have reached the queue.
    on_their_way: usize,
}

impl Hand {
    /// Takes messages from the front of the queue: `most`, if the queue has as many and the channel can hold as many.
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
                    // Another consumer took the rest.
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

    /// Returns when the queue has every acknowledgement. The queue itself answers a `basic.get`, after everything that the
    /// channel told the queue before. If the answer brings a dead letter, that letter arrived in the meantime, and goes
    /// back at the end.
    async fn arrive(&mut self) -> Result<(), QueueError> {
        ask("an answer from kefu.dead", self.channel.basic_get(DEAD.into(), BasicGetOptions::default())).await?;
        self.on_their_way = 0;
        Ok(())
    }

    /// Puts the unacknowledged messages back.
    async fn put_back(mut self) -> Result<(), QueueError> {
        if self.channel.status().connected() && self.on_their_way > 0 {
            self.arrive().await?;
        }
        if self.channel.status().connected() {
            ask("the close of a channel", self.channel.close(200, "OK".into())).await
        } else {
            Ok(())
        }
    }
}

impl OnRabbitMq {
    /// Takes the whole queue, the oldest dead letters first, each with the index of the hand that holds it. Also returns a
    /// channel with confirms.
    async fn take_all(
        &self,
        connection: &Connection,
    ) -> Result<(Channel, Vec<Hand>, Vec<(usize, Delivery)>), QueueError> {
        let open = async {
            let outlet = ask("a channel", connection.create_channel()).await?;
            ask("confirms", outlet.confirm_select(ConfirmSelectOptions::default())).await?;
            let count = count(&outlet).await?;
            Ok((outlet, count))
        };
        let (outlet, count) = open.await.map_err(|error| self.at(error))?;
        let (mut hands, mut taken) = (Vec::<Hand>::new(), Vec::new());
        while let left @ 1.. = count - taken.len() {
            let (hand, deliveries) = Hand::take(connection, left).await?;
            let none_came = deliveries.is_empty();
            taken.extend(deliveries.into_iter().map(|delivery| (hands.len(), delivery)));
            hands.push(hand);
            if none_came {
                break;
            }
        }
        // Dead letters from the time before kefu wrote this header are the oldest.
        taken.sort_by_cached_key(|(_, delivery)| headers::died_at_ms(&delivery.properties));
        Ok((outlet, hands, taken))
    }

    /// The error with the broker's address, because the operator may have configured a wrong address.
    fn at(&self, error: QueueError) -> QueueError {
        match error {
            QueueError::Unavailable(cause) => QueueError::Unavailable(cause.at(&self.address)),
            other => other,
        }
    }
}

struct OnTheWay {
    connection: Connection,
    /// The channels that hold the taken messages, each as many as a channel can hold.
    hands: Vec<Hand>,
    /// A channel with confirms.
    outlet: Channel,
    /// The dead letters that the walk has not reached yet.
    taken: std::vec::IntoIter<(usize, Delivery)>,
    partitions: u16,
    current: Option<Current>,
}

/// The dead letter that [`Walk::next`] returned last.
struct Current {
    original: Original,
    acker: Acker,
    /// The index of the hand that holds the dead letter.
    hand: usize,
    /// The partition for a replay.
    target: Option<Partition>,
}

#[async_trait]
impl Walk for OnTheWay {
    async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        self.current = None;
        let Some((hand, mut delivery)) = self.taken.next() else { return Ok(None) };
        let letter = headers::letter(&delivery);
        // The number of partitions may have changed in the meantime: no worker would look into the old partition.
        let target = match &letter.envelope {
            Ok(envelope) => Some(envelope.partition_for_replay(self.partitions)),
            Err(_) => letter.partition.filter(|partition| partition.index() < self.partitions),
        };
        let acker = delivery.acker.clone();
        let original = Original::of(&mut delivery);
        self.current = Some(Current { original, acker, hand, target });
        Ok(Some(letter))
    }

    async fn replay(&mut self) -> Result<(), QueueError> {
        let Some(Current { original, acker, hand, target }) = self.current.take() else {
            return Err(QueueError::Stale);
        };
        let target = target.ok_or_else(|| {
            let why = "its body is no envelope, and its partition is not known";
            QueueError::Refused(why.into())
        })?;
        match ask("a confirm", publish(&self.outlet, original.replayed(target.to_string()))).await {
            Ok(confirmation) => {
                stored(&confirmation)?;
                self.hands[hand].acknowledge(&acker).await
            }
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
        // In the order of the hands, so that the messages keep their order.
        for hand in self.hands {
            if closed.is_ok() {
                closed = hand.put_back().await;
            }
        }
        link::close(&self.connection).await;
        closed
    }
}

/// The broker's answer; in words if the answer is an error or does not come.
async fn ask<T>(what: &str, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    let unavailable = |text: String| Err(QueueError::Unavailable(text.into()));
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => match protocol_code(&error) {
            Some((404, _)) => unavailable(format!(
                "the broker has no queue {DEAD}: no kefu has run on this vhost yet, or [queue] url names another vhost"
            )),
            _ => Err(Fault::of(&error).into()),
        },
        Err(_) => {
            unavailable(format!("the broker did not answer within {} s when asked for {what}", PATIENCE.as_secs()))
        }
    }
}
