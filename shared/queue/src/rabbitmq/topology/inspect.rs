//! Looks at a broker and at kefu's exchanges and queues, and says whether everything is as kefu needs it.

use std::time::Duration;

use kefu_messages::partition::Partition;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::link::close;
use super::super::settings::{Address, SettingsError};
use super::super::version;
use super::{
    DEAD, Fault, Settings, Topology, UNROUTED, declare_exchange, declare_only, is_partition, partition_queue,
    protocol_code, refusal, sizes,
};

/// The state of a broker.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The broker's version, which it sends before the login; `None` if the broker does not answer or does not say.
    pub version: Option<String>,
    /// The broker's queues, or why they cannot be looked at, in words that say what to do.
    pub queues: Result<Queues, String>,
}

/// kefu's exchanges and queues.
#[derive(Debug, Clone, Default)]
pub struct Queues {
    /// Names of the missing queues and exchanges, as `queue kefu.in.p00`.
    pub missing: Vec<String>,
    /// The differences of queues and exchanges from those that kefu needs, in words.
    pub different: Vec<String>,
    /// How many of the queues exist and are as kefu needs them.
    pub present: usize,
    /// How many of the partitions have no consumer.
    pub without_consumer: usize,
    /// How many of the partitions have a consumer. The broker does not say how many workers consume a partition: RabbitMQ 4
    /// counts the single active consumer alone.
    pub with_consumer: usize,
    /// How many messages wait in the partitions.
    pub waiting: u64,
    /// How many dead letters there are.
    pub dead: u32,
    /// How many messages no partition was bound for; normally 0.
    pub unrouted: u32,
    /// A partition with a queue beyond the configured partitions.
    pub beyond: Option<String>,
}

/// The time for the version, and at the same time for the queues.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time for the end of the connection.
const CLOSE: Duration = Duration::from_millis(500);

impl Inspection {
    /// Whether workers do not share the load on this version.
    pub fn is_too_old(&self) -> bool {
        self.version.as_deref().is_some_and(version::is_too_old)
    }
}

/// Asks the broker, and changes nothing: the inspection creates no queue and touches no message. Ends within 5.5 s.
///
/// # Errors
/// When the settings cannot be used.
pub async fn inspect(settings: &Settings) -> Result<Inspection, SettingsError> {
    let address = settings.check()?;
    let version = timeout(PATIENCE, version::broker_version(&address));
    let (version, queues) = tokio::join!(version, queues(&address, settings));
    Ok(Inspection {
        version: version.ok().and_then(Result::ok).flatten(),
        queues: queues.map_err(|fault| format!("{address}: {}", fault.text())),
    })
}

async fn queues(address: &Address, settings: &Settings) -> Result<Queues, Fault> {
    let deadline = Instant::now() + PATIENCE;
    let late = |_| Fault::Passing(format!("no answer within {} s", PATIENCE.as_secs()).into());
    let connection = timeout_at(deadline, address.connect("kefu doctor")).await.map_err(late)?;
    let connection = connection.map_err(|error| Fault::of(&error))?;
    let mut look = Look { connection: &connection, channel: None, found: Queues::default() };
    let result = timeout_at(deadline, look.at(&Topology::new(settings))).await;
    let found = look.found;
    // The result is known: a slow goodbye takes nothing from it.
    let _closed = timeout(CLOSE, close(&connection)).await;
    result.map_err(late)?.map(|()| found)
}

/// A look at everything that kefu declares, without creating anything: only existing things are declared, and the
/// declaration compares their arguments.
struct Look<'a> {
    connection: &'a Connection,
    /// Opened anew when an error has closed it.
    channel: Option<Channel>,
    found: Queues,
}

impl Look<'_> {
    async fn at(&mut self, topology: &Topology) -> Result<(), Fault> {
        for exchange in topology.exchanges() {
            let what = format!("exchange {}", exchange.name);
            let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
            let (name, kind) = (exchange.name.clone(), exchange.kind.clone());
            let exists = async |channel: &Channel| {
                channel.exchange_declare(name.into(), kind, passive, FieldTable::default()).await
            };
            if self.ask(&what, exists).await?.is_some() {
                self.ask(&what, async |channel| declare_exchange(channel, exchange).await).await?;
            }
        }
        for queue in topology.queues() {
            let (what, name) = (format!("queue {}", queue.name), queue.name.clone());
            let Some(sizes) = self.ask(&what, async |channel| sizes(channel, &name).await).await? else { continue };
            if self.ask(&what, async |channel| declare_only(channel, queue).await).await?.is_some() {
                self.found.add(&name, &sizes);
            }
        }
        let first_beyond = partition_queue(Partition::from(topology.partitions));
        if let Ok(channel) = self.connection.create_channel().await
            && sizes(&channel, &first_beyond).await.is_ok()
        {
            self.found.beyond = Some(first_beyond);
        }
        Ok(())
    }

    /// The answer about a queue or an exchange. `None` if it is missing or different; the look records that. Any other
    /// error ends the look.
    async fn ask<T>(
        &mut self,
        what: &str,
        question: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<Option<T>, Fault> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.connection.create_channel().await.map_err(|error| Fault::of(&error))?,
        };
        let error = match question(&channel).await {
            Ok(answer) => {
                self.channel = Some(channel);
                return Ok(Some(answer));
            }
            Err(error) => error,
        };
        match protocol_code(&error) {
            Some((404, _)) => self.found.missing.push(what.to_owned()),
            Some((406, _)) => self.found.different.push(refusal(what, &error).text().to_owned()),
            _ => return Err(refusal(what, &error)),
        }
        Ok(None)
    }
}

impl Queues {
    /// Counts a queue that is as kefu needs it.
    fn add(&mut self, name: &str, queue: &lapin::Queue) {
        self.present += 1;
        match name {
            DEAD => self.dead = queue.message_count(),
            UNROUTED => self.unrouted = queue.message_count(),
            name if is_partition(name) => {
                self.waiting += u64::from(queue.message_count());
                match queue.consumer_count() {
                    0 => self.without_consumer += 1,
                    _ => self.with_consumer += 1,
                }
            }
            _ => {}
        }
    }
}
