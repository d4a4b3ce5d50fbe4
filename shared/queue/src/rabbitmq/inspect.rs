//! Looks at a broker and at kefu's queues, and says whether everything is as kefu needs it.

use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use super::fault::Fault;
use super::settings::{Settings, SettingsError};
use super::topology::{self, Found, Topology};
use super::version;

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
    /// What is wrong with the queues and exchanges that are not as kefu needs them.
    pub different: Vec<String>,
    /// How many of the queues exist.
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

/// For each of the three steps: the version, the login, the queues.
const PATIENCE: Duration = Duration::from_secs(4);

impl Inspection {
    /// Whether workers do not share the load on this version.
    pub fn is_too_old(&self) -> bool {
        self.version.as_deref().is_some_and(version::is_too_old)
    }
}

/// Asks the broker, and changes nothing: the inspection creates no queue and touches no message.
///
/// # Errors
/// When the settings cannot be used.
pub async fn inspect(settings: &Settings) -> Result<Inspection, SettingsError> {
    let address = settings.check()?;
    let asked = timeout(PATIENCE, version::broker_version(&address)).await;
    let version = asked.ok().and_then(Result::ok).flatten();
    let properties = ConnectionProperties::default().with_connection_name("kefu doctor".into());
    let silent = || format!("the broker did not answer within {} s", PATIENCE.as_secs());
    let queues = match timeout(PATIENCE, Connection::connect_uri(address.uri.clone(), properties)).await {
        Err(_) => Err(silent()),
        Ok(Err(error)) => Err(Fault::of(&error).text().to_owned()),
        Ok(Ok(connection)) => {
            let asked = timeout(PATIENCE, queues(&connection, settings)).await;
            // The connection is given up whatever the result.
            let _closed = timeout(Duration::from_millis(500), connection.close(200, "OK".into())).await;
            asked.unwrap_or_else(|_| Err(silent()))
        }
    };
    let queues = queues.map_err(|why| format!("{address}: {why}"));
    Ok(Inspection { version, queues })
}

async fn queues(connection: &Connection, settings: &Settings) -> Result<Queues, String> {
    let topology = Topology::new(settings);
    let mut queues = Queues::default();
    for found in topology.look(connection).await.map_err(|fault| fault.text().to_owned())? {
        match found {
            Found::Exchange => {}
            Found::Queue { name, messages, consumers } => {
                queues.present += 1;
                match name.as_str() {
                    topology::DEAD => queues.dead = messages,
                    topology::UNROUTED => queues.unrouted = messages,
                    name if topology::is_partition(name) => {
                        queues.waiting += u64::from(messages);
                        queues.with_consumer += usize::from(consumers > 0);
                        queues.without_consumer += usize::from(consumers == 0);
                    }
                    _ => {}
                }
            }
            Found::Missing(what) => queues.missing.push(what),
            Found::Different(why) => queues.different.push(why),
        }
    }
    queues.beyond = topology.beyond(connection).await;
    Ok(queues)
}
