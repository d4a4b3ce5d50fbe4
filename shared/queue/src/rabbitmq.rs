//! The queue on RabbitMQ: the production implementation of the seam.
//!
//! Needs RabbitMQ 4.0 or later for workers to share the load; with 3.10 and later everything else holds. Everything
//! it needs on the broker it declares itself, whenever it connects: `kefu.in` and a quorum queue with a single active
//! consumer for each partition, a queue for each retry delay, `kefu.dead`, and `kefu.unrouted`, which stays empty.
//!
//! A lost connection comes back by itself, without limit of attempts. What only the operator can mend (a refused
//! login, a queue that exists with other arguments) is logged once as an error, shown by `health`, and tried again
//! every few seconds.

use std::sync::Arc;

mod consumer;
mod dead_letters;
mod fault;
mod inspect;
mod link;
mod message;
mod publisher;
mod pulse;
mod settings;
mod settlement;
mod shares;
mod subscription;
mod topology;
mod version;

pub use inspect::{Inspection, Queues, inspect};
pub use settings::{Settings, SettingsError};

use self::link::Link;
use self::topology::Topology;
use super::dead_letters::DeadLetters;
use super::{Consumer, ConsumerOptions, Publisher};

/// A publisher, which connects in the background of the current tokio runtime: it is there at once, and its publishes
/// wait for the connection.
pub fn publisher(settings: &Settings) -> Result<Arc<dyn Publisher>, SettingsError> {
    let link = Link::start(settings.check()?, Arc::new(Topology::new(settings)), "publisher".into());
    let outlet = publisher::Outlet::new(link, settings.publish_channels);
    Ok(Arc::new(publisher::EnvelopePublisher { outlet, partitions: settings.partitions }))
}

/// A consumer, which connects in the background of the current tokio runtime.
///
/// It holds two connections: what the worker publishes (retries, dead letters) must not be able to stop what it
/// acknowledges.
///
/// Dropping a delivery gives back everything that is unsettled of its partition, the earlier ones too. The broker counts
/// that for all of them, as it does a lost connection, and makes those itself dead letters that reach
/// [`Settings::delivery_limit`], with its `x-death` header in place of a reason. All consumers must have the same
/// prefetch: what a consumer with a smaller one gives back may overtake what it was not given yet.
///
/// A delivery may be unsettled for a day; then the broker takes back what its partition's consumer holds. (Brokers before
/// 3.12 do so after 30 minutes, unless their `consumer_timeout` says otherwise.)
pub fn consumer(settings: &Settings, options: ConsumerOptions) -> Result<Box<dyn Consumer>, SettingsError> {
    let address = settings.check()?;
    Ok(Box::new(consumer::EnvelopeConsumer::start(settings, &address, &options)))
}

/// The dead letters, on a connection of its own for each walk; unlike the others it does not wait for a broker that is
/// away.
pub fn dead_letters(settings: &Settings) -> Result<Arc<dyn DeadLetters>, SettingsError> {
    Ok(Arc::new(dead_letters::OnRabbitMq::new(settings)?))
}
