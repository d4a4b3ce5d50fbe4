//! From an accepted request to a message on the queue. Each message goes on the queue once.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::{LEDGER_KEEPS_FOR, MessageKey};
use kefu_runtime::clock;
use kefu_store::{Messages, Opened, Progress, StoreError};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::request::OutboundMessage;
use super::shapes::{Accepted, Status};
use crate::intake::{Intake, Ownership};
use crate::refusal::Refusal;

/// The wait after a call of the store that failed at once.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The messages of teams' own backends. This type puts messages on the queue, and reports their progress.
pub(crate) struct OutboundMessages {
    messages: Arc<dyn Messages>,
    intake: Arc<Intake>,
}

impl OutboundMessages {
    pub(crate) fn new(messages: Arc<dyn Messages>, intake: Arc<Intake>) -> Self {
        Self { messages, intake }
    }

    /// Whether no message with this `Idempotency-Key` is known, neither this message nor another message.
    ///
    /// # Errors
    /// The same as [`OutboundMessages::accept`].
    pub(crate) async fn is_new(
        &self,
        appid: &str,
        idempotency_key: &str,
        fingerprint: &str,
        deadline: Instant,
    ) -> Result<bool, Refusal> {
        let id = MessageKey::of_send(appid, idempotency_key).id();
        match self.until(deadline, || self.messages.find(&id, fingerprint)).await? {
            Opened::New => Ok(true),
            Opened::Same(_) => Ok(false),
            Opened::Other => Err(Refusal::KeyReused),
        }
    }

    /// Returns once the message is stored, and the store reports it as queued. Tries until `deadline`.
    ///
    /// The store first gets a note under the message's id; then the intake claims and publishes the message as it does
    /// with a push; then the store notes the message as queued. A request that breaks off between these steps leaves a
    /// note without a progress. The client's next request with the same key goes on from there, and claim and ledger
    /// drop the copy if the message was published before.
    ///
    /// # Errors
    /// [`Refusal::KeyReused`]; [`Refusal::Unavailable`] when kefu could not do all of this by the deadline: parts of it
    /// may be done.
    pub(crate) async fn accept(
        &self,
        appid: &str,
        idempotency_key: &str,
        message: OutboundMessage,
        traceparent: Option<String>,
        deadline: Instant,
    ) -> Result<Accepted, Refusal> {
        let OutboundMessage { user, outbound, fingerprint } = message;
        let now_ms = clock::now_ms();
        let envelope = Envelope { traceparent, ..Envelope::of_send(appid, idempotency_key, user, outbound, now_ms) };
        let id = envelope.key.id();
        match self.until(deadline, || self.messages.open(&id, &fingerprint, LEDGER_KEEPS_FOR)).await? {
            Opened::Other => return Err(Refusal::KeyReused),
            Opened::Same(Some(progress)) => return Ok(Accepted { id, status: Status::from(&progress) }),
            Opened::New | Opened::Same(None) => {}
        }
        if let Ownership::Ours(claimed) = self.intake.claim(&envelope, deadline).await? {
            claimed.publish().await?.complete("").await;
        }
        let queued = Progress::Queued { accepted_at_ms: now_ms };
        // This call uses the time that the intake reserves for its claim, and the claim uses little of it. When the
        // store fails here, the client must repeat its request. If kefu said instead that the message is accepted, and
        // later that the message is unknown, the client would lose trust.
        self.until(deadline, || self.messages.set(&id, &queued, LEDGER_KEEPS_FOR)).await?;
        Ok(Accepted { id, status: Status::Queued })
    }

    /// The progress of a message.
    ///
    /// # Errors
    /// [`Refusal::UnknownMessage`]; [`Refusal::Unavailable`] when the store did not answer by `deadline`.
    pub(crate) async fn progress(&self, id: &str, deadline: Instant) -> Result<Progress, Refusal> {
        let known = self.until(deadline, || self.messages.get(id)).await?;
        known.ok_or(Refusal::UnknownMessage)
    }

    /// Repeats the call until the store answers.
    async fn until<T, F>(&self, deadline: Instant, call: impl Fn() -> F) -> Result<T, Refusal>
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
                    if again >= deadline || !error.class().passes() {
                        return Err(Refusal::Unavailable(last));
                    }
                    sleep_until(again).await;
                }
                Err(_) => return Err(Refusal::Unavailable(last)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
