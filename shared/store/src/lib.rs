//! The seams to state. Two implementations each, one contract: [`redis`] for production, [`embedded`] for one process.
//!
//! Every method is safe to call again when its outcome is unknown: each is idempotent, or guarded by an owner or a
//! fence. Times are the store's own (Redis `TIME`, or the process clock of the embedded store), so clocks that differ
//! between machines do not matter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;
use secrecy::SecretString;

mod conversations;
mod messages;
mod order;
pub mod redis;
mod seats;
mod windows;

pub use conversations::{Conversations, Exchange};
pub use messages::{Messages, Opened, Progress};
pub use order::{MOST_ABSENT, Order, Place};
pub use seats::Seats;
pub use windows::Windows;

/// All state seams, opened together on one store.
#[derive(Clone)]
pub struct Stores {
    /// Ingress's holds on message keys.
    pub claims: Arc<dyn Claims>,
    /// The workers' record of plans and of how far they are sent.
    pub ledger: Arc<dyn Ledger>,
    /// access_tokens shared by all workers.
    pub tokens: Arc<dyn Tokens>,
    /// media_ids shared by all workers.
    pub media: Arc<dyn Media>,
    /// What is known of users' windows.
    pub windows: Arc<dyn Windows>,
    /// What became of what a team's own backend sends.
    pub messages: Arc<dyn Messages>,
    /// What users and the assistant said to each other.
    pub conversations: Arc<dyn Conversations>,
    /// Which messages of a user are in the queue again.
    pub order: Arc<dyn Order>,
    /// The seats of the workers that share the queue. `None` where one process has all of the queue.
    pub seats: Option<Arc<dyn Seats>>,
    /// Whether the store can be reached.
    pub probe: Arc<dyn Probe>,
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Its URL in the configuration is none that can be used. The text does not repeat it: it may hold a password.
    #[error("the store's URL cannot be used: {0}")]
    Url(String),
    /// It cannot be reached, is loading, is full or read-only, or did not answer in time. What was asked may have
    /// been done all the same. Passes by itself, or when the operator mends the store.
    #[error("the store cannot be used now: {0}")]
    Unavailable(String),
    /// It answered with something this version did not write.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
}

/// Reachability of the store, for `/readyz`.
#[async_trait]
pub trait Probe: Send + Sync {
    /// One cheap round trip.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// What ingress found on a message key.
#[derive(Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's now: publish, then [`Claims::complete`].
    Won,
    /// Somebody else is publishing it: neither publish nor answer `success`, ask again soon.
    Pending,
    /// It was published: answer as the first time.
    Done {
        /// What [`Claims::complete`] was given.
        answer: String,
    },
}

/// Shows how long the answer is: it may name the user.
impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Won => f.write_str("Won"),
            Self::Pending => f.write_str("Pending"),
            Self::Done { answer } => write!(f, "Done({} bytes)", answer.len()),
        }
    }
}

/// Ingress's short holds on message keys: what makes re-sends harmless.
///
/// Two phases: *pending*, owned and short, so that a crash between claim and publish gives the key free again; then
/// *done*, long. An optimisation only: the [`Ledger`] drops the copies that slip through.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Takes the key for `owner` for `pending_for`, unless it is taken or done. An owner that asks again while its own
    /// hold lasts wins again.
    async fn claim(&self, key: &MessageKey, owner: &str, pending_for: Duration) -> Result<Claim, StoreError>;
    /// Marks the key as published, whoever holds it, for `done_for`, with the answer that copies get as well: a few
    /// hundred bytes, the empty text for the usual one.
    async fn complete(&self, key: &MessageKey, answer: &str, done_for: Duration) -> Result<(), StoreError>;
    /// Gives the key free if `owner` still holds it; else does nothing.
    async fn release(&self, key: &MessageKey, owner: &str) -> Result<(), StoreError>;
}

/// A number that grows with each claim of a ledger entry or lock: a late writer with an old one is refused.
pub type Fence = u64;

/// What a worker found in the ledger for a message.
#[derive(Debug, Clone, PartialEq)]
pub enum LedgerClaim {
    /// The message is the caller's for the length of the lease.
    Claimed(Job),
    /// Another worker has it.
    Leased {
        /// Until when at the latest.
        for_at_most: Duration,
    },
    /// All of it is sent: settle the delivery, send nothing.
    Done,
}

/// How far a message is.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Guards every write of this claim.
    pub fence: Fence,
    /// The plan, if an earlier claim stored one: it stands.
    pub plan: Option<Plan>,
    /// How many steps are known to be sent: the index of the next.
    pub next_step: u32,
    /// The step that was begun and not recorded as sent: it may or may not have reached the user.
    pub ambiguous: bool,
}

/// Whether a fenced write took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a fenced writer must stop at once"]
pub enum Written {
    /// It did.
    Yes,
    /// The lease went to somebody else, or the message is done: stop at once, send nothing more.
    Fenced,
}

/// The workers' record, per message key: the authority on what was sent.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Takes the message for `owner` for the length of `lease`, if it is new, or its lease is over, or `owner` itself
    /// holds it. Each success raises the fence. The entry is kept for `keep_for` from now.
    async fn claim(
        &self,
        key: &MessageKey,
        owner: &str,
        lease: Duration,
        keep_for: Duration,
    ) -> Result<LedgerClaim, StoreError>;
    /// Stores the plan, before its first step is sent. The first plan stored stands.
    async fn store_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError>;
    /// Puts another plan in the place of the stored one, or of none. Its steps that are sent already must be those of the
    /// one before: the next step stays what it is.
    async fn replace_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError>;
    /// Marks step `step` as being sent, and renews the lease.
    async fn begin(&self, key: &MessageKey, fence: Fence, step: u32, lease: Duration) -> Result<Written, StoreError>;
    /// Takes a `begin` back: the step is known not to have been sent.
    async fn not_sent(&self, key: &MessageKey, fence: Fence, step: u32) -> Result<Written, StoreError>;
    /// Marks step `step` as sent; the next is `step + 1`.
    async fn sent(&self, key: &MessageKey, fence: Fence, step: u32) -> Result<Written, StoreError>;
    /// Renews the lease without a change, for work that takes long.
    async fn renew(&self, key: &MessageKey, fence: Fence, lease: Duration) -> Result<Written, StoreError>;
    /// Ends the lease without an end of the work: the next claim may come at once.
    async fn release(&self, key: &MessageKey, fence: Fence) -> Result<Written, StoreError>;
    /// Marks the message as done for `keep_for` and drops its plan. The fence that did so may do so again.
    async fn done(&self, key: &MessageKey, fence: Fence, keep_for: Duration) -> Result<Written, StoreError>;
}

/// An access_token as it is shared.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// The token; up to 512 characters and more.
    pub value: SecretString,
    /// How long WeChat still honours it, at most.
    pub expires_in: Duration,
}

/// access_tokens, one an account, shared by all processes: one fetch serves all.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// The token, unless it is absent or expired.
    async fn get(&self, appid: &str) -> Result<Option<StoredToken>, StoreError>;
    /// The right to fetch, for one process at a time; `None` when another has it. Ends by [`Tokens::unlock`] or after
    /// `lock_for`.
    async fn lock(&self, appid: &str, owner: &str, lock_for: Duration) -> Result<Option<Fence>, StoreError>;
    /// Stores a fetched token, unless one of a later fence is stored already.
    async fn store(&self, appid: &str, fence: Fence, token: &StoredToken) -> Result<Written, StoreError>;
    /// Gives the right to fetch back, if `owner` still has it.
    async fn unlock(&self, appid: &str, owner: &str) -> Result<(), StoreError>;
    /// Drops the token if it is still `failed`: a newer one that another process fetched meanwhile stays.
    async fn invalidate(&self, appid: &str, failed: &SecretString) -> Result<(), StoreError>;
}

/// media_ids of uploaded files, by account and content.
#[async_trait]
pub trait Media: Send + Sync {
    /// The media_id for the content with this SHA-256 (lowercase hex), unless it is absent or expired.
    async fn get(&self, appid: &str, sha256: &str) -> Result<Option<String>, StoreError>;
    /// Keeps it for `keep_for`; WeChat forgets media after 3 days.
    async fn put(&self, appid: &str, sha256: &str, media_id: &str, keep_for: Duration) -> Result<(), StoreError>;
    /// Drops it if it is still `media_id`.
    async fn forget(&self, appid: &str, sha256: &str, media_id: &str) -> Result<(), StoreError>;
}
