//! The queue on RabbitMQ: the production implementation of the seam.
//!
//! Workers share the load on RabbitMQ 4.0 or later; everything else also holds on 3.10 and later. The implementation itself
//! declares everything that it needs on the broker, at each connect: `kefu.in` and a quorum queue with a single active
//! consumer for each partition, a queue for each retry delay, `kefu.dead`, and `kefu.unrouted`, which stays empty.
//!
//! A lost connection comes back by itself, without limit of attempts. If only the operator can remove a cause (a refused
//! login, a queue that exists with other arguments), the implementation logs the cause once as an error, shows it in
//! `health`, and tries again every few seconds.

use std::sync::Arc;

mod acknowledgements;
mod consumer;
mod dead_letters;
mod fault;
mod leftovers;
mod link;
mod message;
mod outlet;
mod pipeline;
mod publisher;
mod pulse;
mod settings;
mod settlement;
mod shares;
mod subscription;
mod topology;
mod version;

pub use settings::{Settings, SettingsError};
pub use topology::inspect::{Inspection, Queues, inspect};

use super::dead_letters::DeadLetters;
use super::{Consumer, ConsumerOptions, Publisher};

/// A publisher, which connects in the background of the current tokio runtime. The function returns the publisher at once,
/// and the publishes wait for the connection.
pub fn publisher(settings: &Settings) -> Result<Arc<dyn Publisher>, SettingsError> {
    Ok(Arc::new(publisher::EnvelopePublisher::start(settings, settings.check()?)))
}

/// A consumer, which connects in the background of the current tokio runtime.
///
/// The consumer holds two connections, because the worker's publishes (retries, dead letters) must not be able to stop its
/// acknowledgements.
///
/// Dropping a delivery gives back all unsettled deliveries of its partition, the earlier ones too. The broker counts this
/// for each of them, as it does after a lost connection. A message that reaches [`Settings::delivery_limit`] becomes a dead
/// letter by the broker itself, with its `x-death` header in place of a reason. All consumers must have the same prefetch:
/// messages that a consumer with a smaller prefetch gives back may overtake messages that it was not given yet.
///
/// A delivery may be unsettled for a day; then the broker takes back the deliveries of its partition. (Brokers before 3.12
/// do so after 30 minutes, unless their `consumer_timeout` says otherwise.)
pub fn consumer(settings: &Settings, options: ConsumerOptions) -> Result<Box<dyn Consumer>, SettingsError> {
    let address = settings.check()?;
    Ok(Box::new(consumer::EnvelopeConsumer::start(settings, &address, &options)))
}

/// The dead letters, on a connection of its own for each walk. Unlike the publisher and the consumer, a walk does not wait
/// for an unreachable broker.
pub fn dead_letters(settings: &Settings) -> Result<Arc<dyn DeadLetters>, SettingsError> {
    Ok(Arc::new(dead_letters::OnRabbitMq::new(settings)?))
}
