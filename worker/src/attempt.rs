//! One attempt at one message: the facts that all stages of the pipeline share, and the ways in which they wait.

use std::pin::pin;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::window::Window;
use kefu_program::config::Account;
use kefu_queue::{DeadReason, Delivery};
use kefu_store::{Job, Place};
use tokio::time::Instant;

use crate::concurrency::Slot;
use crate::lease::Lease;
use crate::outcome::Outcome;

mod backoff;

use backoff::Backoff;

/// One attempt. It holds the lease of its message, and a slot that it leaves to other messages while it only waits.
pub(crate) struct Attempt<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) account: &'a Account,
    pub(crate) lease: Lease,
    /// The record that earlier attempts left in the ledger.
    pub(crate) job: Job,
    slot: Slot,
    backoff: Backoff,
    /// Whether the message is done when its replies are sent: it has no picture to keep.
    pub(crate) needs_replies_only: bool,
    /// How many times the attempt waited for the account's rate limit.
    pub(crate) slowed: u32,
    /// The known part of the user's window.
    pub(crate) window: Window,
    /// The message's place among the user's absent messages.
    pub(crate) place: Place,
    /// Whether this is the message's first attempt and no reply is sent yet. The first send measures the lag.
    pub(crate) first_send: bool,
    /// Whether the message is the replay of a dead letter.
    pub(crate) replayed: bool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        delivery: &Delivery,
        envelope: &'a Envelope,
        account: &'a Account,
        (lease, job): (Lease, Job),
        slot: Slot,
    ) -> Self {
        Self {
            envelope,
            account,
            lease,
            job,
            slot,
            backoff: Backoff::new(),
            needs_replies_only: false,
            slowed: 0,
            window: Window::default(),
            place: Place::default(),
            first_send: delivery.attempt == 0,
            replayed: delivery.replays > 0,
        }
    }

    /// Waits for something that may take long. The attempt leaves its slot meanwhile, since other messages need the
    /// slot.
    pub(crate) async fn wait<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Outcome> {
        let wait = pin!(wait);
        keep(&self.lease, self.slot.leave_for(wait)).await
    }

    /// Waits for something that nearly always ends at once but may hang. The attempt leaves its slot once the wait
    /// takes long.
    pub(crate) async fn wait_if_long<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Outcome> {
        let wait = pin!(wait);
        keep(&self.lease, self.slot.leave_if_long(wait)).await
    }

    /// Makes a call, and drops it at an interruption.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> Result<T, Outcome> {
        keep(&self.lease, pin!(call)).await
    }

    /// Makes a call that goes on through an interruption.
    pub(crate) async fn call_to_its_end<T>(&self, call: impl Future<Output = T>) -> Result<T, Outcome> {
        self.lease.during(pin!(call)).await
    }

    pub(crate) async fn pause(&mut self, wait: Duration) -> Result<(), Outcome> {
        self.wait(tokio::time::sleep(wait)).await
    }

    /// Waits before the next try, after a failure that passes: at least `at_least`, and longer after each failure.
    /// `error` is the failure in words. Returns [`Outcome::Retry`] when the wait would be too long for the lane.
    pub(crate) async fn back_off(&mut self, error: String, at_least: Duration) -> Result<(), Outcome> {
        match self.backoff.next(Instant::now()).filter(|_| at_least <= backoff::LONGEST) {
            Some(wait) => {
                tracing::debug!(error, ?wait, "trying again");
                self.pause(wait.max(at_least)).await
            }
            None => Err(Outcome::Retry { at_least, error, in_the_end: DeadReason::Exhausted }),
        }
    }

    /// A call succeeded, so the next wait of [`Attempt::back_off`] is the shortest again, within the same total.
    pub(crate) fn shorten_backoff(&mut self) {
        self.backoff.shorten();
    }
}

/// Waits while the lease is renewed, until an interruption at most. Callers pin the future that they pass, since each
/// wrapper that took the future by value would double the size.
async fn keep<T>(lease: &Lease, wait: impl Future<Output = T>) -> Result<T, Outcome> {
    lease.during(lease.interrupt.or(wait)).await?
}
