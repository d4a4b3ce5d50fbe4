//! The end of a delivery: the settlement that follows from the attempt's outcome, and the report to the team's backend.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::LEDGER_KEEPS_FOR;
use kefu_queue::{DeadReason, Delivery, RETRY_DELAYS, Settlement};
use kefu_runtime::clock;
use kefu_store::{Messages, Progress};
use tokio_util::sync::CancellationToken;

use crate::metric;
use crate::order::Order;
use crate::outage::StoreOutage;
use crate::outcome::{Interrupt, Outcome};

/// The longest wait of any retry queue.
const LONGEST_DELAY: Duration = RETRY_DELAYS[RETRY_DELAYS.len() - 1];

/// Settles deliveries; all lanes share it.
pub(crate) struct Settler {
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) order: Arc<Order>,
    pub(crate) outage: Arc<StoreOutage>,
    pub(crate) shutdown: CancellationToken,
}

impl Settler {
    /// Settles the delivery. Returns the delivery if it must go back to the queue when the consumer closes: the
    /// shutdown left the message unhandled or unfinished.
    pub(crate) async fn settle(&self, delivery: Delivery, outcome: Outcome) -> Option<Delivery> {
        let (label, settlement) = self.settlement_of(outcome, delivery.attempt);
        let told = match &settlement {
            Some(settlement) => self.report(&delivery, settlement).await,
            None => Ok(()),
        };
        let (label, settlement) = if told.is_ok() { (label, settlement) } else { ("handed_back", None) };
        metrics::counter!(metric::MESSAGES, "outcome" => label).increment(1);
        match &settlement {
            Some(Settlement::Retry { .. }) => metrics::counter!(metric::RETRIES, "place" => "queue").increment(1),
            Some(Settlement::Dead { reason, .. }) => {
                self.end_absence(&delivery).await;
                metrics::counter!(metric::DEAD_LETTERS, "reason" => reason.as_str()).increment(1);
            }
            _ => {}
        }
        let Some(settlement) = settlement else {
            // While the consumer is open, a dropped delivery makes the queue deliver its whole partition again. At a
            // shutdown that would take along the messages that are about to end.
            return Some(delivery).filter(|_| self.shutdown.is_cancelled());
        };
        if let Err(error) = delivery.settle(settlement).await {
            tracing::warn!(%error, "the message is not settled and comes again");
            metrics::counter!(metric::SETTLE_FAILURES).increment(1);
        }
        None
    }

    /// The outcome's name in metrics, and the settlement that follows from the outcome of this `attempt`. `None` when
    /// the queue gets no settlement and the delivery goes back.
    fn settlement_of(&self, outcome: Outcome, attempt: u32) -> (&'static str, Option<Settlement>) {
        let dead = |reason: DeadReason, error: String| {
            tracing::warn!(reason = reason.as_str(), attempt, error, "the message is a dead letter");
            ("dead", Some(Settlement::Dead { reason, error }))
        };
        let done = |outcome: &'static str| {
            tracing::debug!(outcome, "handled");
            (outcome, Some(Settlement::Done))
        };
        match outcome {
            Outcome::Done => done("done"),
            Outcome::Answered => done("answered"),
            Outcome::Ignored => done("ignored"),
            Outcome::Duplicate => done("duplicate"),
            Outcome::Fenced => {
                tracing::warn!("another worker has taken the message over");
                ("fenced", None)
            }
            Outcome::HandedBack => ("handed_back", None),
            Outcome::Dead { reason, error } => dead(reason, error),
            Outcome::Postpone { at_least, error } => {
                let after = at_least.clamp(RETRY_DELAYS[0], LONGEST_DELAY);
                // Many messages may wait for the same cause, which the log tells elsewhere or which passes in a moment.
                tracing::debug!(?after, error, "the message is postponed, and is not to blame");
                ("postponed", Some(Settlement::Postpone { after, error }))
            }
            Outcome::Retry { at_least, error, in_the_end } => match RETRY_DELAYS.get(attempt as usize) {
                Some(delay) => {
                    let after = at_least.min(LONGEST_DELAY).max(*delay);
                    tracing::warn!(attempt, ?after, error, "the message is tried again later");
                    ("retry", Some(Settlement::Retry { after, error }))
                }
                None => dead(in_the_end, error),
            },
        }
    }

    /// Tells the team's backend how its message ended, if a backend sent the message, asked for the report, and the
    /// message has ended. The caller must do this before the settlement, and must not settle after an error: the queue
    /// would forget a message whose end the backend never learned.
    pub(crate) async fn report(&self, delivery: &Delivery, settlement: &Settlement) -> Result<(), Outcome> {
        let Ok(Envelope { key, send: Some(_), received_at_ms, .. }) = &delivery.envelope else { return Ok(()) };
        let (accepted_at_ms, ended_at_ms) = (*received_at_ms, clock::now_ms());
        let progress = match settlement {
            Settlement::Done => Progress::Sent { accepted_at_ms, ended_at_ms },
            Settlement::Dead { reason, error } => {
                let (reason, error) = (reason.as_str().to_owned(), error.clone());
                Progress::Dead { accepted_at_ms, ended_at_ms, reason, error }
            }
            Settlement::Retry { .. } | Settlement::Postpone { .. } => return Ok(()),
        };
        let id = key.id();
        let interrupt = Interrupt::new(&self.shutdown, &delivery.session);
        let told = self.outage.outlast(&interrupt, || self.messages.set(&id, &progress, LEDGER_KEEPS_FOR)).await;
        match told {
            // Waiting would not help, and the message itself has ended.
            Err(Outcome::Retry { error, .. }) => {
                tracing::error!(error, "the team's backend cannot be told how its message ended");
                Ok(())
            }
            told => told,
        }
    }

    /// Records that a message is a dead letter, so that no other message waits for it.
    async fn end_absence(&self, delivery: &Delivery) {
        if let Ok(envelope @ Envelope { unreadable: None, .. }) = &delivery.envelope {
            let interrupt = Interrupt::new(&self.shutdown, &delivery.session);
            self.order.end(envelope, &interrupt).await;
        }
    }
}
