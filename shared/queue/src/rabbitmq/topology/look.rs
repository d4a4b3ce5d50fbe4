//! Looks at the declared exchanges and queues, and creates none.

use kefu_messages::partition::Partition;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};

use super::{Fault, Topology, declare_exchange, declare_only, partition_queue, protocol_code, refusal};

/// The state of an exchange or a queue.
pub(in super::super) enum Found {
    /// The exchange is as kefu needs it.
    Exchange,
    /// The queue is as kefu needs it, and has so many waiting messages.
    Queue { name: String, messages: u32, consumers: u32 },
    /// The exchange or queue does not exist.
    Missing(String),
    /// The exchange or queue differs; the operator's text.
    Different(String),
}

impl Topology {
    /// Looks at everything without creating anything: only existing things are declared, and the declaration compares their
    /// arguments.
    pub(in super::super) async fn look(&self, connection: &Connection) -> Result<Vec<Found>, Fault> {
        let mut look = Look { connection, channel: None };
        let mut found = Vec::new();
        for exchange in self.exchanges() {
            let name = format!("exchange {}", exchange.name);
            let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
            let (kind, shown) = (exchange.kind.clone(), exchange.name.clone());
            let is_there = async |channel: &Channel| {
                channel.exchange_declare(shown.into(), kind, passive, FieldTable::default()).await
            };
            found.push(match look.ask(&name, is_there).await? {
                Err(missing) => missing,
                Ok(()) => match look.ask(&name, async |channel| declare_exchange(channel, exchange).await).await? {
                    Ok(()) => Found::Exchange,
                    Err(different) => different,
                },
            });
        }
        for queue in self.queues() {
            let name = format!("queue {}", queue.name);
            let shown = queue.name.clone();
            let is_there = async |channel: &Channel| count(channel, &shown).await;
            found.push(match look.ask(&name, is_there).await? {
                Err(missing) => missing,
                Ok((messages, consumers)) => {
                    let same = async |channel: &Channel| declare_only(channel, queue).await;
                    match look.ask(&name, same).await? {
                        Ok(()) => Found::Queue { name: shown, messages, consumers },
                        Err(different) => different,
                    }
                }
            });
        }
        Ok(found)
    }

    /// The queue of the first partition beyond the configured partitions, if that queue exists.
    pub(in super::super) async fn beyond(&self, connection: &Connection) -> Option<String> {
        let name = partition_queue(Partition::from(self.partitions));
        let channel = connection.create_channel().await.ok()?;
        count(&channel, &name).await.is_ok().then_some(name)
    }
}

/// How many messages wait in a queue, and its consumers. An error if the queue does not exist.
async fn count(channel: &Channel, queue: &str) -> lapin::Result<(u32, u32)> {
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
    Ok((queue.message_count(), queue.consumer_count()))
}

/// A channel that is opened anew when an error has closed it.
struct Look<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
}

impl Look<'_> {
    /// The answer, or that the thing is missing or different; other errors end the look.
    async fn ask<T>(
        &mut self,
        what: &str,
        question: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<Result<T, Found>, Fault> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.connection.create_channel().await.map_err(|error| Fault::of(&error))?,
        };
        let error = match question(&channel).await {
            Ok(answer) => {
                self.channel = Some(channel);
                return Ok(Ok(answer));
            }
            Err(error) => error,
        };
        match protocol_code(&error) {
            Some((404, _)) => Ok(Err(Found::Missing(what.to_owned()))),
            Some((406, _)) => Ok(Err(Found::Different(refusal(what, &error).text().to_owned()))),
            _ => Err(refusal(what, &error)),
        }
    }
}
