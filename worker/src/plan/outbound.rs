//! Messages that a team's own backend sends: their plan, and what is told of them.

use kefu_messages::envelope::Envelope;
use kefu_messages::outbound::Outbound;
use kefu_messages::plan::Plan;
use kefu_queue::{DeadReason, Delivery, Settlement};
use kefu_runtime::clock;
use kefu_store::Progress;

use crate::handle::{Handler, Message};
use crate::outcome::{Halt, Interrupt};

impl Message<'_> {
    /// The replies as they came, long texts in parts; no rule has a say. They were checked when they were accepted; the
    /// queue may have kept them since before an upgrade, or have them from another program.
    pub(crate) fn plan_of_send(&self, outbound: &Outbound) -> Result<Plan, Halt> {
        let limits = &self.handler.config.window;
        match outbound.problems(limits.message_replies, None).as_slice() {
            // Whatever is left, so that nothing is cut: the backend is told when WeChat does not take all of it, and can
            // have the rest sent later.
            [] => Ok(Plan::of(outbound.replies.clone(), &self.envelope.push, limits, None).plan),
            problems => Err(Halt::dead(DeadReason::Refused, problems.join("; "))),
        }
    }
}

impl Handler {
    /// Tells who asks for it how the message ended, if a backend sent it and it ended. To be called before the settlement,
    /// and not settled on an error: the queue would forget a message whose end nobody is told.
    pub(crate) async fn report(&self, delivery: &Delivery, settlement: &Settlement) -> Result<(), Halt> {
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
        let told = self.outage.outlast(&interrupt, || self.messages.set(&id, &progress, self.timings.keep_for)).await;
        match told {
            // Waiting would not help, and the message itself is at its end.
            Err(Halt::Later { error, .. }) => {
                tracing::error!(error, "what became of the message cannot be told");
                Ok(())
            }
            told => told,
        }
    }
}

#[cfg(test)]
mod tests;
