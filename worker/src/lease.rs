//! The lease of a message in the ledger. A worker claims and renews the lease, and the lease fences every write. Each
//! write waits for a store that is down.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::message_key::{LEDGER_KEEPS_FOR, MessageKey};
use kefu_messages::plan::Plan;
use kefu_store::{Fence, Job, Ledger, LedgerClaim, StoreError, Written};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::concurrency::Slot;
use crate::outage::StoreOutage;
use crate::outcome::{Interrupt, Outcome, RETRY_TOTAL};

/// How much longer a lease lasts than the time limit of one call.
const MARGIN: Duration = Duration::from_secs(5);

/// The interval at which the worker asks the ledger for a message that another worker holds.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// Claims messages in the ledger for this process.
pub(crate) struct Leases {
    ledger: Arc<dyn Ledger>,
    outage: Arc<StoreOutage>,
    /// The name of this process in the ledger.
    owner: String,
    /// How long a lease lasts: longer than the time limit of one call, so that a lease renewed before a call outlasts
    /// the call.
    lasts: Duration,
    /// How long the worker asks for a message that another worker holds. A dead worker loses its lease within that
    /// time. A living worker that renews its lease also handles the message in its own lane.
    patience: Duration,
}

/// This worker's claim on one message. Any outcome other than trouble with the store means that the worker must stop.
pub(crate) struct Lease {
    leases: Arc<Leases>,
    pub(crate) interrupt: Interrupt,
    key: MessageKey,
    fence: Fence,
    /// Whether the ledger has a plan of the message.
    has_plan: bool,
    /// Whether the ledger has the message as done.
    is_done: bool,
}

impl Leases {
    /// `owner` names this process; `call_limit` is the time limit of one call of WeChat's API.
    pub(crate) fn new(ledger: Arc<dyn Ledger>, outage: Arc<StoreOutage>, owner: String, call_limit: Duration) -> Self {
        let lasts = call_limit + MARGIN;
        Self { ledger, outage, owner, lasts, patience: lasts + RETRY_TOTAL }
    }

    /// Claims the message, and waits without the slot while another worker holds the message. `None` when all of the
    /// message's replies are sent already.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        key: &MessageKey,
        interrupt: &Interrupt,
        slot: &mut Slot,
    ) -> Result<Option<(Lease, Job)>, Outcome> {
        let give_up_at = Instant::now() + self.patience;
        loop {
            let call = || self.ledger.claim(key, &self.owner, self.lasts, LEDGER_KEEPS_FOR);
            match self.outage.outlast(interrupt, call).await? {
                LedgerClaim::Done => return Ok(None),
                LedgerClaim::Claimed(job) => {
                    let lease = Lease {
                        leases: Arc::clone(self),
                        interrupt: interrupt.clone(),
                        key: key.clone(),
                        fence: job.fence,
                        has_plan: job.plan.is_some(),
                        is_done: false,
                    };
                    return Ok(Some((lease, job)));
                }
                LedgerClaim::Leased { .. } if Instant::now() >= give_up_at => {
                    return Err(Outcome::retry("another worker holds the message"));
                }
                LedgerClaim::Leased { for_at_most } => {
                    let wait = for_at_most.clamp(Duration::from_millis(1), ASKED_EVERY);
                    interrupt.or(slot.leave_for(tokio::time::sleep(wait))).await?;
                }
            }
        }
    }
}

impl Lease {
    /// Stores the plan before its first step begins. This is for a plan that is expensive to make again;
    /// [`Lease::begin`] stores any other plan.
    pub(crate) async fn store_plan(&mut self, plan: &Plan) -> Result<(), Outcome> {
        self.write(&self.interrupt, || self.leases.ledger.store_plan(&self.key, self.fence, plan)).await?;
        self.has_plan = true;
        Ok(())
    }

    /// Does the same as [`Lease::store_plan`], and replaces a stored plan.
    pub(crate) async fn replace_plan(&self, plan: &Plan) -> Result<(), Outcome> {
        self.write(&self.interrupt, || self.leases.ledger.replace_plan(&self.key, self.fence, plan)).await
    }

    /// Records that the step of the plan may be sent from now on, and stores the plan if the ledger does not have it. The
    /// lease then lasts for a whole call.
    pub(crate) async fn begin(&mut self, plan: &Plan, step: u32) -> Result<(), Outcome> {
        let unstored = (!self.has_plan).then_some(plan);
        let call = || self.leases.ledger.begin(&self.key, self.fence, step, unstored, self.leases.lasts);
        self.write(&self.interrupt, call).await?;
        self.has_plan = true;
        Ok(())
    }

    /// Records that the step was not sent. The write goes on through a shutdown, since the step would be ambiguous
    /// without the record.
    pub(crate) async fn not_sent(&self, step: u32) -> Result<(), Outcome> {
        self.write(Interrupt::never(), || self.leases.ledger.not_sent(&self.key, self.fence, step)).await
    }

    /// Records that the step was sent, and with `ends_message` that the message is done: it needs nothing more.
    /// The write goes on through a shutdown, as [`Lease::not_sent`] does.
    pub(crate) async fn sent(&mut self, step: u32, ends_message: bool) -> Result<(), Outcome> {
        let done_for = ends_message.then_some(LEDGER_KEEPS_FOR);
        self.write(Interrupt::never(), || self.leases.ledger.sent(&self.key, self.fence, step, done_for)).await?;
        self.is_done = ends_message;
        Ok(())
    }

    /// Marks the message as done, unless [`Lease::sent`] did. The ledger must have all of the message's steps as sent
    /// before. A refusal by the fence then only means that another worker has marked the message already, and does no
    /// harm.
    pub(crate) async fn done(&self) -> Result<(), Outcome> {
        if self.is_done {
            return Ok(());
        }
        match self.write(&self.interrupt, || self.leases.ledger.done(&self.key, self.fence, LEDGER_KEEPS_FOR)).await {
            Ok(()) | Err(Outcome::Fenced) => Ok(()),
            Err(outcome) => Err(outcome),
        }
    }

    /// Releases the message for the next claim. The worker tries this once; after a failure the lease runs out by
    /// itself.
    pub(crate) async fn release(&self) {
        if let Err(error) = self.leases.ledger.release(&self.key, self.fence).await {
            tracing::debug!(%error, "the lease was not released and runs out");
        }
    }

    /// Does `work`, however long it takes, and renews the lease meanwhile. The loss of the lease drops the work.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T, Outcome> {
        tokio::pin!(work);
        let every = self.leases.lasts / 3;
        let mut renewals = interval_at(Instant::now() + every, every);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                output = &mut work => return Ok(output),
                _ = renewals.tick() => match self.leases.ledger.renew(&self.key, self.fence, self.leases.lasts).await {
                    Ok(Written::Yes) => {}
                    Ok(Written::Fenced) => return Err(Outcome::Fenced),
                    // The next write waits for the store and notices the loss.
                    Err(error) => tracing::debug!(%error, "the lease was not renewed"),
                },
            }
        }
    }

    /// Repeats a call of the store until the store answers or an interruption comes. The lease is not renewed
    /// meanwhile.
    pub(crate) async fn outlast<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Outcome>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.leases.outage.outlast(&self.interrupt, call).await
    }

    /// Waits a moment because of the store's `error`, and renews the lease meanwhile.
    pub(crate) async fn sit_out(&self, error: &StoreError) -> Result<(), Outcome> {
        self.during(self.leases.outage.sit_out(&self.interrupt, error)).await?
    }

    async fn write<F>(&self, interrupt: &Interrupt, call: impl FnMut() -> F) -> Result<(), Outcome>
    where
        F: Future<Output = Result<Written, StoreError>>,
    {
        match self.leases.outage.outlast(interrupt, call).await? {
            Written::Yes => Ok(()),
            Written::Fenced => Err(Outcome::Fenced),
        }
    }
}
