//! The settlement of a delivery on the broker.

use std::sync::Arc;

use async_trait::async_trait;

use super::acknowledgements::ChannelAcks;
use super::message::{Message, Original};
use super::outlet::Outlet;
use super::topology::Topology;
use crate::{QueueError, Settle, Settlement, Turn};

/// A delivery that is not settled yet. Dropping it ends the session of its channel.
pub(super) struct Unsettled {
    pub(super) original: Original,
    /// The delivery's number on its channel.
    pub(super) tag: u64,
    pub(super) channel: Arc<ChannelAcks>,
    pub(super) topology: Arc<Topology>,
    pub(super) outlet: Arc<Outlet>,
    pub(super) settled: bool,
}

#[async_trait]
impl Settle for Unsettled {
    /// AMQP does not confirm an acknowledgement. An acknowledgement that was written just before the connection was lost,
    /// or was to be written in the next burst, may not have arrived. The message then comes again, marked as redelivered.
    async fn settle(mut self: Box<Self>, settlement: Settlement) -> Result<(), QueueError> {
        let more = u32::from(matches!(settlement, Settlement::Retry { .. }));
        match settlement {
            Settlement::Done => {}
            Settlement::Retry { after, error } | Settlement::Postpone { after, error } => {
                let exchange = self.topology.retry_exchange(after);
                self.pass_on(|original| original.returning(exchange, more, &error)).await?;
            }
            Settlement::Dead { reason, error } => self.pass_on(|original| original.dead(reason, &error)).await?,
        }
        self.channel.acknowledge(self.tag)?;
        self.settled = true;
        Ok(())
    }
}

impl Unsettled {
    /// Publishes the copy for as long as this consumer holds the original. A copy whose fate is unknown is published again:
    /// the worker's ledger drops the second of two copies, but no copy would be a loss.
    async fn pass_on(&self, copy: impl Fn(&Original) -> Message) -> Result<(), QueueError> {
        loop {
            let published = tokio::select! {
                biased;
                () = self.channel.session().cancelled() => return Err(QueueError::Stale),
                published = self.outlet.publish(Turn::unordered(), || copy(&self.original)) => published,
            };
            match published {
                Err(QueueError::Unavailable(_)) if !self.outlet.is_closed() => {}
                published => return published,
            }
        }
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if !self.settled {
            self.channel.session().cancel();
        }
    }
}
