//! The seam to the state of the messages that a team's own backend sends.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// The state of a message. A state only moves forward, with one exception: a dead letter may be replayed, be sent, or die
/// again. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Progress {
    /// The message is on the queue.
    Queued {
        /// When ingress accepted the message.
        accepted_at_ms: u64,
    },
    /// The message will not be tried again by itself.
    Dead {
        /// When ingress accepted the message.
        accepted_at_ms: u64,
        /// When the worker gave the message up.
        ended_at_ms: u64,
        /// `DeadReason::as_str`.
        reason: String,
        /// The dead letter's words; no secrets, texts or openids.
        error: String,
    },
    /// WeChat has taken all replies of the message.
    Sent {
        /// When ingress accepted the message.
        accepted_at_ms: u64,
        /// When all replies had been sent.
        ended_at_ms: u64,
    },
}

/// The answer of [`Messages::open`] and [`Messages::find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// There is no such message: the caller publishes it.
    New,
    /// The same message. Without a progress the message may or may not have been published: the caller publishes it, too.
    Same(Option<Progress>),
    /// Another message under the same id.
    Other,
}

/// The messages that a team's own backend sends, by [`MessageKey::id`](kefu_messages::message_key::MessageKey::id).
#[async_trait]
pub trait Messages: Send + Sync {
    /// Notes that a message of this `fingerprint` is about to be published as `id`, unless the id has a note already. A new
    /// note is kept for `keep_for` from now.
    async fn open(&self, id: &str, fingerprint: &str, keep_for: Duration) -> Result<Opened, StoreError>;
    /// As [`Messages::open`], but notes nothing.
    async fn find(&self, id: &str, fingerprint: &str) -> Result<Opened, StoreError>;
    /// Notes the progress of the message, for `keep_for` from now, unless the known progress is as far or farther. A later
    /// death replaces an earlier death. The id need not have a note yet.
    async fn set(&self, id: &str, progress: &Progress, keep_for: Duration) -> Result<(), StoreError>;
    /// The progress of the message; `None` if the progress is unknown or forgotten.
    async fn get(&self, id: &str) -> Result<Option<Progress>, StoreError>;
}

impl Opened {
    /// The answer for a message of this `fingerprint`, from the stored fingerprint and the stored progress.
    pub fn of(fingerprint: &str, known: Option<&str>, progress: Option<Progress>) -> Self {
        match (known, progress) {
            (None, None) => Self::New,
            (Some(known), _) if known != fingerprint => Self::Other,
            (_, progress) => Self::Same(progress),
        }
    }
}

impl Progress {
    /// `queued`, `dead` or `sent`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Dead { .. } => "dead",
            Self::Sent { .. } => "sent",
        }
    }

    /// Whether this progress replaces `known`.
    pub fn follows(&self, known: &Self) -> bool {
        let rank = |progress: &Self| match progress {
            Self::Queued { .. } => 1,
            Self::Dead { .. } => 2,
            Self::Sent { .. } => 3,
        };
        rank(self) > rank(known) || matches!((self, known), (Self::Dead { .. }, Self::Dead { .. }))
    }
}
