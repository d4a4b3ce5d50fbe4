//! What became of the messages that a team's own backend sends, for who asks.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// How far a message is. It goes on from one to the next and never back, but that a dead letter may be replayed, be sent,
/// or die again. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Progress {
    /// It is on the queue.
    Queued {
        /// When ingress accepted it.
        accepted_at_ms: u64,
    },
    /// It will not be tried again by itself.
    Dead {
        /// When ingress accepted it.
        accepted_at_ms: u64,
        /// When it was given up.
        ended_at_ms: u64,
        /// `DeadReason::as_str`.
        reason: String,
        /// The dead letter's words; no secrets, texts or openids.
        error: String,
    },
    /// WeChat has taken all of its replies.
    Sent {
        /// When ingress accepted it.
        accepted_at_ms: u64,
        /// When all had been sent.
        ended_at_ms: u64,
    },
}

/// What [`Messages::open`] and [`Messages::find`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Nothing: the caller publishes it.
    New,
    /// The same message. Without a progress it may or may not have been published: the caller publishes it, too.
    Same(Option<Progress>),
    /// Another one under the same id.
    Other,
}

/// The messages that a team's own backend sends, by [`MessageKey::id`](kefu_messages::message_key::MessageKey::id).
#[async_trait]
pub trait Messages: Send + Sync {
    /// Notes that a message of this `fingerprint` is about to be published as `id`, unless something is noted there
    /// already. A new note is kept for `keep_for` from now.
    async fn open(&self, id: &str, fingerprint: &str, keep_for: Duration) -> Result<Opened, StoreError>;
    /// What [`Messages::open`] would find; notes nothing.
    async fn find(&self, id: &str, fingerprint: &str) -> Result<Opened, StoreError>;
    /// Notes how far it is, for `keep_for` from now, unless it is known to be as far or farther; a later death takes the
    /// place of one before. There need be no note yet.
    async fn set(&self, id: &str, progress: &Progress, keep_for: Duration) -> Result<(), StoreError>;
    /// How far it is; `None` when that is not, or no longer, known.
    async fn get(&self, id: &str) -> Result<Option<Progress>, StoreError>;
}

impl Opened {
    /// For a message of this `fingerprint`, where that of a message and a progress are known.
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

    /// Whether it takes the place of `known`.
    pub fn follows(&self, known: &Self) -> bool {
        let rank = |progress: &Self| match progress {
            Self::Queued { .. } => 1,
            Self::Dead { .. } => 2,
            Self::Sent { .. } => 3,
        };
        rank(self) > rank(known) || matches!((self, known), (Self::Dead { .. }, Self::Dead { .. }))
    }
}
