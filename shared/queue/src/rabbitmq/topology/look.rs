//! A look at what is declared, which makes nothing.

use kefu_messages::partition::Partition;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};

use super::{Fault, Topology, declare_exchange, declare_only, partition_queue, protocol_code, refusal};

/// What a look at an exchange or a queue found.
pub(in super::super) enum Found {
    /// It is as it must be.
    Exchange,
    /// It is as it must be, and holds so many messages that wait.
    Queue { name: String, messages: u32, consumers: u32 },
    /// It is not there.
    Missing(String),
    /// It is another one; what the operator is told.
    Different(String),
}

impl Topology {
    /// Looks at everything without making anything: only what is there is declared, which then compares its arguments.
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

    /// The queue of the first partition beyond those that are configured, if there is one.
    pub(in super::super) async fn beyond(&self, connection: &Connection) -> Option<String> {
        let name = partition_queue(Partition::from(self.partitions));
        let channel = connection.create_channel().await.ok()?;
        count(&channel, &name).await.is_ok().then_some(name)
    }
}

/// How many messages wait in a queue, and its consumers. An error when it is not there.
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
