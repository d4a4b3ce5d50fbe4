//! From an accepted request to a message on the queue, once.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::{LEDGER_KEEPS_FOR, MessageKey};
use kefu_runtime::clock;
use kefu_store::{Messages, Opened, Progress, StoreError};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::problem::Problem;
use super::request::OutboundMessage;
use super::shapes::{Accepted, Status};
use crate::intake::Intake;

/// The wait after a call of the store that failed at once.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The messages of teams' own backends: puts them on the queue, and tells what became of them.
pub(crate) struct OutboundMessages {
    messages: Arc<dyn Messages>,
    intake: Intake,
}

impl OutboundMessages {
    pub(crate) fn new(messages: Arc<dyn Messages>, intake: Intake) -> Self {
        Self { messages, intake }
    }

    /// Whether no message of this key is known, neither this one nor another.
    ///
    /// # Errors
    /// As [`OutboundMessages::accept`].
    pub(crate) async fn is_new(
        &self,
        appid: &str,
        idempotency_key: &str,
        fingerprint: &str,
        deadline: Instant,
    ) -> Result<bool, Problem> {
        let id = MessageKey::of_send(appid, idempotency_key).id();
        match self.until(deadline, || self.messages.find(&id, fingerprint)).await? {
            Opened::New => Ok(true),
            Opened::Same(_) => Ok(false),
            Opened::Other => Err(Problem::KeyReused),
        }
    }

    /// Returns when the message is stored, and known as queued to those who ask. Tries until `deadline`.
    ///
    /// It is noted under its id first, then claimed and published as a push is, then noted as queued. A request that breaks
    /// off between these leaves a note without a progress; the client's next one, with the same key, goes on from there,
    /// and claim and ledger drop the copy if it was published before.
    ///
    /// # Errors
    /// [`Problem::KeyReused`]; [`Problem::Unavailable`] when that was not to be done until then: parts of it may have been.
    pub(crate) async fn accept(
        &self,
        appid: &str,
        idempotency_key: &str,
        message: OutboundMessage,
        traceparent: Option<String>,
        deadline: Instant,
    ) -> Result<Accepted, Problem> {
        let OutboundMessage { user, outbound, fingerprint } = message;
        let now_ms = clock::now_ms();
        let envelope = Envelope { traceparent, ..Envelope::of_send(appid, idempotency_key, user, outbound, now_ms) };
        let id = envelope.key.id();
        match self.until(deadline, || self.messages.open(&id, &fingerprint, LEDGER_KEEPS_FOR)).await? {
            Opened::Other => return Err(Problem::KeyReused),
            Opened::Same(Some(progress)) => return Ok(Accepted { id, status: Status::from(&progress) }),
            Opened::New | Opened::Same(None) => {}
        }
        self.intake.take(&envelope, String::new(), deadline).await?;
        let queued = Progress::Queued { accepted_at_ms: now_ms };
        // In the time that the intake keeps for its claim, of which little is used. A store that fails here costs the client
        // a repetition; to say that it is accepted, and then that nothing is known of it, would cost trust.
        self.until(deadline, || self.messages.set(&id, &queued, LEDGER_KEEPS_FOR)).await?;
        Ok(Accepted { id, status: Status::Queued })
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`Problem::UnknownMessage`]; [`Problem::Unavailable`] when the store did not answer until `deadline`.
    pub(crate) async fn progress(&self, id: &str, deadline: Instant) -> Result<Progress, Problem> {
        let known = self.until(deadline, || self.messages.get(id)).await?;
        known.ok_or(Problem::UnknownMessage)
    }

    /// Makes the call until the store answers.
    async fn until<T, F>(&self, deadline: Instant, call: impl Fn() -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut last = "the store did not answer".to_owned();
        loop {
            match timeout_at(deadline, call()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => {
                    last = error.to_string();
                    let again = Instant::now() + TRY_AGAIN;
                    if again >= deadline || matches!(error, StoreError::Corrupt(_)) {
                        return Err(Problem::Unavailable(last));
                    }
                    sleep_until(again).await;
                }
                Err(_) => return Err(Problem::Unavailable(last)),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
