//! The seam to the dead letters: messages that will not be tried again by themselves.
//!
//! [`DeadLetters`] is implemented beside each queue. What an operator asks for is an [`Order`], which
//! [`carry_out`](Order::carry_out) does on any of them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_messages::partition::Partition;
use sha2::{Digest, Sha256};

use super::{DeadReason, QueueError};

mod order;
mod summary;

pub use order::{Action, Left, Order, Report, Selection};
pub use summary::{Content, Summary};

/// The words for why a message is a dead letter: [`DeadReason`]'s own, RabbitMQ's for what it put there by itself, and
/// `unknown` for what another program put there without a word.
pub fn reasons() -> impl Iterator<Item = &'static str> {
    DeadReason::ALL.map(DeadReason::as_str).into_iter().chain(["expired", "maxlen", "rejected", UNKNOWN_REASON])
}

/// The reason of a dead letter that came without one.
pub const UNKNOWN_REASON: &str = "unknown";

/// All dead letters of a queue.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Begins to go through those that there are now, in the order in which they died. They may be out of another walk's
    /// sight until this one ends, so there should be one at a time.
    async fn walk(&self) -> Result<Box<dyn Walk>, QueueError>;
}

/// On the way through the dead letters. What is neither replayed nor dropped stays in its place, also when the walk is
/// dropped half-way or its process dies.
#[async_trait]
pub trait Walk: Send {
    /// The next one; `None` after the last of those that there were at the beginning.
    async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError>;
    /// Puts the one that [`Walk::next`] gave last at the tail of its partition, with a fresh count of attempts and
    /// errors. It is stored there before it leaves the dead letters: a crash in between leaves two copies, of which the
    /// ledger drops one.
    ///
    /// # Errors
    /// [`QueueError::Refused`] concerns this one alone, which stays; after any other the walk is over.
    async fn replay(&mut self) -> Result<(), QueueError>;
    /// Takes the one that [`Walk::next`] gave last away for good.
    async fn discard(&mut self) -> Result<(), QueueError>;
    /// Ends the walk. After an error, what was replayed or discarded may be there still.
    async fn close(self: Box<Self>) -> Result<(), QueueError>;
}

/// A message that will not be tried again by itself.
#[derive(Clone)]
pub struct DeadLetter {
    /// Names it to the operator: the digest of the message key, as in logs and in `message_id`; of the body, if that is
    /// no envelope. Copies of one message share it.
    pub id: String,
    /// The body as it was published.
    pub body: Vec<u8>,
    /// What the body says, or why it is no envelope.
    pub envelope: Result<Envelope, EnvelopeError>,
    /// Where it came from; `None` if that is not known.
    pub partition: Option<Partition>,
    /// One of [`reasons`], or a word of another program's.
    pub reason: String,
    /// What was first in the way, since it was published or replayed.
    pub first_error: String,
    /// What was last in the way.
    pub last_error: String,
    /// How often it was tried since then, the last time included.
    pub attempts: u32,
    /// How often it was a dead letter before and was replayed.
    pub replays: u32,
    /// When a worker first had it, or (embedded) when it was published: milliseconds since the Unix epoch.
    pub first_seen_ms: Option<u64>,
    /// When it became a dead letter, in the same unit; to the second where the broker made it one.
    pub died_at_ms: Option<u64>,
    /// W3C trace context of the push.
    pub traceparent: Option<String>,
}

impl DeadLetter {
    /// One of which only the body is known.
    pub fn of(body: Vec<u8>) -> Self {
        let envelope = Envelope::from_json(&body);
        let id = match &envelope {
            Ok(envelope) => envelope.key.to_string(),
            Err(_) => hex::encode(&Sha256::digest(&body)[..6]),
        };
        let traceparent = envelope.as_ref().ok().and_then(|envelope| envelope.traceparent.clone());
        Self {
            id,
            body,
            envelope,
            partition: None,
            reason: UNKNOWN_REASON.to_owned(),
            first_error: String::new(),
            last_error: String::new(),
            attempts: 1,
            replays: 0,
            first_seen_ms: None,
            died_at_ms: None,
            traceparent,
        }
    }

    /// Whether a worker may have sent some of its replies and the ledger, which keeps that for
    /// [`LEDGER_KEEPS_FOR`](kefu_messages::message_key::LEDGER_KEEPS_FOR), may have forgotten which.
    fn may_be_forgotten(&self, now_ms: u64) -> bool {
        let remembered = (kefu_messages::message_key::LEDGER_KEEPS_FOR - FORGETTING_MARGIN).as_millis() as u64;
        self.died_at_ms.is_none_or(|died_at_ms| now_ms.saturating_sub(died_at_ms) >= remembered)
    }
}

/// The ledger counts from the last claim of the message, which is earlier than its death; and clocks differ.
const FORGETTING_MARGIN: Duration = Duration::from_secs(3_600);

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter").field("id", &self.id).field("reason", &self.reason).finish_non_exhaustive()
    }
}
