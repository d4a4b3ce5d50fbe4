//! The seam to the dead letters: messages that will not be tried again by themselves.
//!
//! Each queue implements [`DeadLetters`]. An operator's wish is an [`Order`], and [`carry_out`](Order::carry_out) does the
//! order on any implementation.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_messages::partition::Partition;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{DeadReason, QueueError};

mod order;
mod summary;

pub use order::{Action, Left, Order, Report, Selection};
pub use summary::{Content, Summary};

/// The words for why a message is a dead letter: [`DeadReason`]'s own words, RabbitMQ's words for the dead letters that it
/// makes itself, and `unknown` for a message that another program put there without a word.
pub fn reasons() -> impl Iterator<Item = &'static str> {
    DeadReason::ALL.map(DeadReason::as_str).into_iter().chain(["expired", "maxlen", "rejected", UNKNOWN_REASON])
}

/// The reason of a dead letter that came without one.
pub const UNKNOWN_REASON: &str = "unknown";

/// All dead letters of a queue.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Begins a walk through the present dead letters, in the order in which they died. Another walk may not see them until
    /// this walk ends, so do one walk at a time.
    async fn walk(&self) -> Result<Box<dyn Walk>, QueueError>;
}

/// A walk through the dead letters. A dead letter that is neither replayed nor dropped stays in its place, even if the walk
/// is dropped half-way or its process dies.
#[async_trait]
pub trait Walk: Send {
    /// The next dead letter; `None` after the last of those that existed when the walk began.
    async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError>;
    /// Puts the dead letter that [`Walk::next`] returned last at the tail of its partition, with a fresh count of attempts
    /// and errors. The message is stored there before it leaves the dead letters: a crash in between leaves two copies, and
    /// the ledger drops one of them.
    ///
    /// # Errors
    /// [`QueueError::Refused`] concerns this dead letter alone, which stays; after any other error the walk is over.
    async fn replay(&mut self) -> Result<(), QueueError>;
    /// Removes the dead letter that [`Walk::next`] returned last for good.
    async fn discard(&mut self) -> Result<(), QueueError>;
    /// Ends the walk. After an error, replayed or discarded messages may still be among the dead letters.
    async fn close(self: Box<Self>) -> Result<(), QueueError>;
}

/// A message that will not be tried again by itself.
#[derive(Clone)]
pub struct DeadLetter {
    /// The operator's name for the dead letter: the digest of the message key, as in logs and in `message_id`; the digest
    /// of the body, if the body is no envelope. Copies of one message share the id.
    pub id: String,
    /// The body as it was published.
    pub body: Vec<u8>,
    /// The envelope in the body, or why the body is no envelope.
    pub envelope: Result<Envelope, EnvelopeError>,
    /// The partition that the message came from; `None` if unknown.
    pub partition: Option<Partition>,
    /// What happened to the message.
    pub history: History,
}

/// What happened to a message before it became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// One of [`reasons`], or another program's word.
    pub reason: String,
    /// The first error since the message was published or replayed.
    pub first_error: String,
    /// The last error.
    pub last_error: String,
    /// How often the message was tried since then, the last time included.
    pub attempts: u32,
    /// How often the message was a dead letter before and was replayed.
    pub replays: u32,
    /// When a worker first had the message, or (embedded) when the message was published: milliseconds since the Unix
    /// epoch.
    pub first_seen_ms: Option<u64>,
    /// When the message became a dead letter, in the same unit; to the second if the broker made the dead letter.
    pub died_at_ms: Option<u64>,
    /// W3C trace context of the push.
    pub traceparent: Option<String>,
}

impl DeadLetter {
    /// A dead letter of which only the body is known.
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
            history: History {
                reason: UNKNOWN_REASON.to_owned(),
                first_error: String::new(),
                last_error: String::new(),
                attempts: 1,
                replays: 0,
                first_seen_ms: None,
                died_at_ms: None,
                traceparent,
            },
        }
    }

    /// Whether a worker may have sent some of its replies, while the ledger, which remembers a message for
    /// [`LEDGER_KEEPS_FOR`](kefu_messages::message_key::LEDGER_KEEPS_FOR), may have forgotten which replies.
    fn may_be_forgotten(&self, now_ms: u64) -> bool {
        let remembered = (kefu_messages::message_key::LEDGER_KEEPS_FOR - FORGETTING_MARGIN).as_millis() as u64;
        self.history.died_at_ms.is_none_or(|died_at_ms| now_ms.saturating_sub(died_at_ms) >= remembered)
    }
}

/// The ledger counts from the last claim of the message, which is earlier than its death; and clocks differ.
const FORGETTING_MARGIN: Duration = Duration::from_secs(3_600);

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter").field("id", &self.id).field("reason", &self.history.reason).finish_non_exhaustive()
    }
}
