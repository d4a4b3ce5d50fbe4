//! The end of a delivery: what the work on its message came to, and what the queue is told.

use std::time::Duration;

use kefu_queue::{DeadReason, Delivery, RETRY_DELAYS, Settlement};

use crate::handle::Handler;
use crate::metric;
use crate::outcome::Halt;

/// The longest wait that a queue has.
const LONGEST_DELAY: Duration = RETRY_DELAYS[RETRY_DELAYS.len() - 1];

/// How the work on a message ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// Ingress has answered it, and there is nothing to send.
    Answered,
    /// No rule matched.
    Ignored,
    /// All of it was sent before.
    Duplicate,
}

impl Handler {
    /// Settles the delivery; returned is what [`Handler::handle`] returns.
    pub(crate) async fn conclude(&self, delivery: Delivery, result: Result<End, Halt>) -> Option<Delivery> {
        let attempt = delivery.attempt;
        let dead = |reason: DeadReason, error: String| {
            tracing::warn!(reason = reason.as_str(), attempt, error, "the message is a dead letter");
            ("dead", Some(Settlement::Dead { reason, error }))
        };
        let (outcome, settlement) = match result {
            Ok(end) => {
                let outcome = match end {
                    End::Done => "done",
                    End::Answered => "answered",
                    End::Ignored => "ignored",
                    End::Duplicate => "duplicate",
                };
                tracing::debug!(outcome, "handled");
                (outcome, Some(Settlement::Done))
            }
            Err(Halt::Fenced) => {
                tracing::warn!("another worker has taken the message over");
                ("fenced", None)
            }
            Err(Halt::Interrupted) => ("handed_back", None),
            Err(Halt::Dead { reason, error }) => dead(reason, error),
            Err(Halt::Postponed { at_least, error }) => {
                let after = at_least.clamp(self.timings.retry_delays[0], LONGEST_DELAY);
                // Many messages may wait for the same; that itself was logged, or will pass in a moment.
                tracing::debug!(?after, error, "the message is postponed, and is not to blame");
                ("postponed", Some(Settlement::Postpone { after, error }))
            }
            Err(Halt::Later { at_least, error, in_the_end }) => match self.timings.retry_delays.get(attempt as usize) {
                Some(delay) => {
                    let after = at_least.min(LONGEST_DELAY).max(*delay);
                    tracing::warn!(attempt, ?after, error, "the message is tried again later");
                    ("retry", Some(Settlement::Retry { after, error }))
                }
                None => dead(in_the_end, error),
            },
        };
        let told = match &settlement {
            Some(settlement) => self.report(&delivery, settlement).await,
            None => Ok(()),
        };
        let (outcome, settlement) = if told.is_ok() { (outcome, settlement) } else { ("handed_back", None) };
        metrics::counter!(metric::MESSAGES, "outcome" => outcome).increment(1);
        match &settlement {
            Some(Settlement::Retry { .. }) => metrics::counter!(metric::RETRIES, "place" => "queue").increment(1),
            Some(Settlement::Dead { reason, .. }) => {
                self.end_absence_of_dead(&delivery).await;
                metrics::counter!(metric::DEAD_LETTERS, "reason" => reason.as_str()).increment(1);
            }
            _ => {}
        }
        let Some(settlement) = settlement else {
            // While the consumer is open, dropping a delivery makes its whole partition come again: at a shutdown that
            // would take the messages along that are about to end well.
            return Some(delivery).filter(|_| self.shutdown.is_cancelled());
        };
        if let Err(error) = delivery.settle(settlement).await {
            tracing::warn!(%error, "the message is not settled and comes again");
            metrics::counter!(metric::SETTLE_FAILURES).increment(1);
        }
        None
    }
}
