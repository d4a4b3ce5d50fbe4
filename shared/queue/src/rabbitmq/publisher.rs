//! Publishing: confirmed, in order for each partition, and never given to a connection that cannot write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::Envelope;
use kefu_messages::partition::Partition;
use kefu_runtime::health::Health;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use super::fault::{Fault, protocol_code};
use super::link::{Link, Session};
use super::message::Message;
use crate::{Publisher, QueueError};

/// A channel with confirms, opened at its first use, and again when it is dead.
type Slot = Mutex<Option<Channel>>;

/// The publishing side of a process: a pool of channels on one connection.
///
/// Each channel has only one message under way: with several messages, the library may attach a returned message to the
/// confirm of another one.
pub(super) struct Outlet {
    link: Link,
    slots: Vec<Arc<Slot>>,
    closed: AtomicBool,
    /// Publishes run here, not on the caller's runtime: a publish must end even if the caller's thread ends.
    runtime: Handle,
}

impl Outlet {
    pub(super) fn new(link: Link, channels: u16) -> Self {
        let slots = (0..channels).map(|_| Arc::default()).collect();
        Self { link, slots, closed: AtomicBool::new(false), runtime: Handle::current() }
    }

    /// Publishes the result of `message` when its turn has come: after all earlier publishes of this partition. Until then
    /// only the caller's future is held.
    pub(super) async fn publish(
        &self,
        partition: Partition,
        message: impl FnOnce() -> Message,
    ) -> Result<(), QueueError> {
        let closed = || QueueError::Unavailable("the publisher is closed".into());
        if self.is_closed() {
            return Err(closed());
        }
        let slot = self.slots[usize::from(partition.index()) % self.slots.len()].clone();
        let mut slot = slot.lock_owned().await;
        let (session, channel) = loop {
            let session = self.link.writable_session().await.ok_or_else(closed)?;
            match slot.take() {
                Some(channel) if channel.status().connected() => break (session, channel),
                _ => {}
            }
            let opened = tokio::select! {
                opened = open(&session) => opened,
                () = session.ended() => continue,
            };
            match opened {
                Ok(channel) => break (session, channel),
                Err(error) if session.usable() => return Err(Fault::of(&error).into()),
                Err(_) => {}
            }
        };
        let (outcome, answer) = oneshot::channel();
        let message = message();
        // On a task of its own: a confirm that is dropped too early stays in the library's memory.
        self.runtime.spawn(async move {
            let published = confirmed(&session, &channel, message).await;
            *slot = Some(channel);
            drop(slot);
            // The caller may have given up waiting.
            let _abandoned = outcome.send(published);
        });
        answer.await.unwrap_or_else(|_| Err(QueueError::Unavailable("the program is ending".into())))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn health(&self) -> Health {
        self.link.health()
    }

    pub(super) async fn close(&self, within: Duration) {
        self.closed.store(true, Ordering::Release);
        let all = async {
            for slot in &self.slots {
                drop(slot.lock().await);
            }
        };
        if timeout(within, all).await.is_err() {
            tracing::warn!("closing the publisher with messages under way: they may or may not be stored");
        }
        self.link.close().await;
    }
}

/// Publishes one message for a session and waits for the broker's word on it.
async fn confirmed(session: &Session, channel: &Channel, message: Message) -> Result<(), QueueError> {
    let confirmation = publish(channel, message).await.map_err(|error| {
        let fault = Fault::of(&error);
        // The exchange is missing; a new session declares it again.
        if protocol_code(&error).is_some_and(|(code, _)| code == 404) {
            session.end(fault.clone());
        }
        QueueError::from(fault)
    })?;
    stored(&confirmation)
}

/// Publishes one message and waits for the broker's word on it, on a channel with confirms.
pub(super) async fn publish(channel: &Channel, message: Message) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (exchange, key) = (message.exchange.into(), message.routing_key.into());
    #[expect(clippy::disallowed_methods, reason = "the confirm is awaited here")]
    channel.basic_publish(exchange, key, options, &message.body, message.properties).await?.await
}

/// Whether the broker has stored the message.
pub(super) fn stored(confirmation: &Confirmation) -> Result<(), QueueError> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => {
            Err(QueueError::Refused("the broker has no queue for the message's partition".into()))
        }
        Confirmation::Nack(_) => {
            Err(QueueError::Refused("the broker did not store the message; is the queue of its partition full?".into()))
        }
        Confirmation::NotRequested => Err(QueueError::Unavailable("the channel has no confirms".into())),
    }
}

async fn open(session: &Session) -> lapin::Result<Channel> {
    let channel = session.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// The seam's publisher.
pub(super) struct EnvelopePublisher {
    pub(super) outlet: Outlet,
    pub(super) partitions: u16,
}

#[async_trait]
impl Publisher for EnvelopePublisher {
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        let partition = envelope.partition(self.partitions);
        self.outlet.publish(partition, || Message::of(envelope, partition)).await
    }

    fn health(&self) -> Health {
        self.outlet.health()
    }

    async fn close(&self, within: Duration) {
        self.outlet.close(within).await;
    }
}
