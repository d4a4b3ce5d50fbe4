//! A message held in the ledger: every write is fenced, and waits for a store that is down.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;
use kefu_store::{Fence, Ledger, StoreError, Written};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::outage::StoreOutage;
use crate::outcome::{Halt, Interrupt};

/// The claim of this worker on one message. All errors but those of the store mean: stop.
pub(crate) struct Lease {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) outage: Arc<StoreOutage>,
    pub(crate) interrupt: Interrupt,
    pub(crate) key: MessageKey,
    pub(crate) fence: Fence,
    pub(crate) lease: Duration,
    pub(crate) keep_for: Duration,
}

impl Lease {
    pub(crate) async fn store_plan(&self, plan: &Plan) -> Result<(), Halt> {
        self.write(&self.interrupt, || self.ledger.store_plan(&self.key, self.fence, plan)).await
    }

    /// As [`Lease::store_plan`], in the place of the one that is stored.
    pub(crate) async fn replace_plan(&self, plan: &Plan) -> Result<(), Halt> {
        self.write(&self.interrupt, || self.ledger.replace_plan(&self.key, self.fence, plan)).await
    }

    /// From here on the step may be sent, and the lease lasts for a whole call.
    pub(crate) async fn begin(&self, step: u32) -> Result<(), Halt> {
        self.write(&self.interrupt, || self.ledger.begin(&self.key, self.fence, step, self.lease)).await
    }

    /// Not given up at a shutdown: without this record the step would be ambiguous.
    pub(crate) async fn not_sent(&self, step: u32) -> Result<(), Halt> {
        self.write(&Interrupt::never(), || self.ledger.not_sent(&self.key, self.fence, step)).await
    }

    /// Not given up at a shutdown, as [`Lease::not_sent`].
    pub(crate) async fn sent(&self, step: u32) -> Result<(), Halt> {
        self.write(&Interrupt::never(), || self.ledger.sent(&self.key, self.fence, step)).await
    }

    /// Marks the message as done. To be called when all of its steps are recorded as sent: then a refusal only means
    /// that somebody marked it already, and is none.
    pub(crate) async fn done(&self) -> Result<(), Halt> {
        match self.write(&self.interrupt, || self.ledger.done(&self.key, self.fence, self.keep_for)).await {
            Ok(()) | Err(Halt::Fenced) => Ok(()),
            Err(halt) => Err(halt),
        }
    }

    /// Gives the message free for the next claim. Tried once: without it the lease runs out.
    pub(crate) async fn release(&self) {
        if let Err(error) = self.ledger.release(&self.key, self.fence).await {
            tracing::debug!(%error, "the lease was not released and runs out");
        }
    }

    /// Does `work`, however long it takes, without losing the lease. Loses the work when the lease is lost.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::pin!(work);
        let every = self.lease / 3;
        let mut renewals = interval_at(Instant::now() + every, every);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                output = &mut work => return Ok(output),
                _ = renewals.tick() => match self.ledger.renew(&self.key, self.fence, self.lease).await {
                    Ok(Written::Yes) => {}
                    Ok(Written::Fenced) => return Err(Halt::Fenced),
                    // The next write waits for the store and finds out.
                    Err(error) => tracing::debug!(%error, "the lease was not renewed"),
                },
            }
        }
    }

    async fn write<F>(&self, interrupt: &Interrupt, call: impl FnMut() -> F) -> Result<(), Halt>
    where
        F: Future<Output = Result<Written, StoreError>>,
    {
        match self.outage.outlast(interrupt, call).await? {
            Written::Yes => Ok(()),
            Written::Fenced => Err(Halt::Fenced),
        }
    }
}
