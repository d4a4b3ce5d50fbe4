//! The seams to state. Each seam has two implementations under one contract: [`redis`] for production, and the crate
//! kefu-embedded for one process.
//!
//! A caller may repeat any call whose outcome is unknown: each method is idempotent, or guarded by an owner or a fence.
//! Times are the store's own (Redis `TIME`, or the process clock of the embedded store), so clocks that differ between
//! machines do not matter.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;
use kefu_runtime::{Cause, Class};
use secrecy::SecretString;

mod conversations;
mod messages;
mod order;
pub mod redis;
mod seats;
#[cfg(feature = "testing")]
pub mod testing;
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
    /// The workers' record of plans, and of the steps that were sent.
    pub ledger: Arc<dyn Ledger>,
    /// access_tokens shared by all workers.
    pub tokens: Arc<dyn Tokens>,
    /// media_ids shared by all workers.
    pub media: Arc<dyn Media>,
    /// The record of users' windows.
    pub windows: Arc<dyn Windows>,
    /// The state of the messages of a team's own backend.
    pub messages: Arc<dyn Messages>,
    /// The conversations of users with the assistant.
    pub conversations: Arc<dyn Conversations>,
    /// Which messages of a user are in the queue again.
    pub order: Arc<dyn Order>,
    /// The seats of the workers that share the queue. `None` where one process has the whole queue.
    pub seats: Option<Arc<dyn Seats>>,
    /// Whether the store can be reached.
    pub probe: Arc<dyn Probe>,
}

impl Stores {
    /// All seams on one store, without seats.
    pub fn on<S>(store: Arc<S>) -> Self
    where
        S: Claims + Ledger + Tokens + Media + Windows + Messages + Conversations + Order + Probe + 'static,
    {
        Self {
            claims: store.clone(),
            ledger: store.clone(),
            tokens: store.clone(),
            media: store.clone(),
            windows: store.clone(),
            messages: store.clone(),
            conversations: store.clone(),
            order: store.clone(),
            seats: None,
            probe: store,
        }
    }
}

/// Why the store did not do a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store's URL in the configuration cannot be used. The text does not repeat the URL, which may contain a password.
    #[error("the store's URL cannot be used: {0}")]
    Url(&'static str),
    /// The store cannot be reached, is loading, is full or read-only, or did not answer in time. The call may have been
    /// done all the same. The state passes by itself, or when the operator repairs the store.
    #[error("the store cannot be used now: {0}")]
    Unavailable(#[source] Cause),
    /// The store answered with a value that this version did not write.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(#[source] Cause),
}

impl StoreError {
    /// What the caller can do.
    pub fn class(&self) -> Class {
        match self {
            Self::Unavailable(_) => Class::Transient,
            Self::Url(_) | Self::Corrupt(_) => Class::Ours,
        }
    }
}

/// Reachability of the store, for `/readyz`.
#[async_trait]
pub trait Probe: Send + Sync {
    /// One cheap round trip.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// The answer to ingress's claim on a message key.
#[derive(Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key is the caller's now: publish, then call [`Claims::complete`].
    Won,
    /// Another caller is publishing the message: neither publish nor answer `success`, and ask again soon.
    Pending,
    /// The message was published: give the same answer as the first time.
    Done {
        /// The answer that the caller gave to [`Claims::complete`].
        answer: String,
    },
}

/// Shows the length of the answer only: the answer may name the user.
impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Won => f.write_str("Won"),
            Self::Pending => f.write_str("Pending"),
            Self::Done { answer } => write!(f, "Done({} bytes)", answer.len()),
        }
    }
}

/// Ingress's short holds on message keys, which make re-sends harmless.
///
/// A claim has two phases. First the claim is *pending*, with an owner and for a short time, so that a crash between claim
/// and publish releases the key. Then the claim is *done*, for a long time. Claims are an optimisation only: the [`Ledger`]
/// drops the copies that slip through.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Claims the key for `owner` for `pending_for`, unless the key is taken or done. An owner that asks again while its
    /// own claim lasts wins again.
    async fn claim(&self, key: &MessageKey, owner: &str, pending_for: Duration) -> Result<Claim, StoreError>;
    /// Marks the key as published, whoever holds the key, for `done_for`. Copies get `answer` as well: a few hundred bytes,
    /// or the empty text for the usual answer. Nobody should wait for the record of the usual answer: the store may take a
    /// few milliseconds longer for it, and spare a round trip.
    async fn complete(&self, key: &MessageKey, answer: &str, done_for: Duration) -> Result<(), StoreError>;
    /// Releases the key if `owner` still holds it; else does nothing.
    async fn release(&self, key: &MessageKey, owner: &str) -> Result<(), StoreError>;
    /// The same claims for the callers of one thread, inside whose runtime this is called. If calls would otherwise pass
    /// from thread to thread, the result has a connection of its own on the current runtime.
    fn local(self: Arc<Self>) -> Arc<dyn Claims>;
}

/// A number that grows with each claim of a ledger entry or lock: a late writer with an older number is refused.
pub type Fence = u64;

/// The ledger's answer to a worker's claim on a message.
#[derive(Debug, Clone, PartialEq)]
pub enum LedgerClaim {
    /// The message is the caller's for the length of the lease.
    Claimed(Job),
    /// Another worker holds the message.
    Leased {
        /// How long the other lease lasts at most.
        for_at_most: Duration,
    },
    /// Every step of the message is sent: settle the delivery, send nothing.
    Done,
}

/// The ledger's record of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Guards every write of this claim.
    pub fence: Fence,
    /// The plan, if an earlier claim stored a plan: that plan stands.
    pub plan: Option<Plan>,
    /// How many steps are known to be sent: the index of the next.
    pub next_step: u32,
    /// Whether the next step was begun and not recorded as sent: the reply may or may not have reached the user.
    pub ambiguous: bool,
}

/// Whether a fenced write took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a fenced writer must stop at once"]
pub enum Written {
    /// The write took effect.
    Yes,
    /// Another worker has the lease, or the message is done: stop at once, and send nothing more.
    Fenced,
}

/// The workers' record, by message key: the authority on which replies were sent.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Claims the message for `owner` for the length of `lease`, if the message is new, or its lease is over, or `owner`
    /// itself holds it. Each success raises the fence. The entry is kept for `keep_for` from now.
    async fn claim(
        &self,
        key: &MessageKey,
        owner: &str,
        lease: Duration,
        keep_for: Duration,
    ) -> Result<LedgerClaim, StoreError>;
    /// Stores the plan, before its first step is sent. The first stored plan stands.
    async fn store_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError>;
    /// Replaces the stored plan, or stores the first one. The steps that are already sent must be the same as in the
    /// previous plan: the next step does not change.
    async fn replace_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError>;
    /// Marks step `step` as being sent, and renews the lease. A `plan` that is not stored yet is stored in the same write,
    /// as by [`Ledger::store_plan`].
    async fn begin(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        plan: Option<&Plan>,
        lease: Duration,
    ) -> Result<Written, StoreError>;
    /// Takes a `begin` back: the step is known to be unsent.
    async fn not_sent(&self, key: &MessageKey, fence: Fence, step: u32) -> Result<Written, StoreError>;
    /// Marks step `step` as sent; the next is `step + 1`. `done_for` says that the message needs nothing more: the same
    /// write marks the message as done, as by [`Ledger::done`].
    async fn sent(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        done_for: Option<Duration>,
    ) -> Result<Written, StoreError>;
    /// Renews the lease without any other change, for work that takes long.
    async fn renew(&self, key: &MessageKey, fence: Fence, lease: Duration) -> Result<Written, StoreError>;
    /// Ends the lease although the work has not ended: the next claim may come at once.
    async fn release(&self, key: &MessageKey, fence: Fence) -> Result<Written, StoreError>;
    /// Marks the message as done for `keep_for`, and drops its plan. A repetition with the same fence succeeds.
    async fn done(&self, key: &MessageKey, fence: Fence, keep_for: Duration) -> Result<Written, StoreError>;
}

/// An access_token in the store.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// The token; up to 512 characters and more.
    pub value: SecretString,
    /// How long WeChat still honours the token, at most.
    pub expires_in: Duration,
}

/// The access_tokens, one for each account, shared by all processes: one fetch serves all.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// The token, unless the token is absent or expired.
    async fn get(&self, appid: &str) -> Result<Option<StoredToken>, StoreError>;
    /// The right to fetch a token, for one process at a time; `None` when another process has the right. The right ends by
    /// [`Tokens::unlock`] or after `lock_for`.
    async fn lock(&self, appid: &str, owner: &str, lock_for: Duration) -> Result<Option<Fence>, StoreError>;
    /// Stores a fetched token, unless the store has a token of a later fence.
    async fn store(&self, appid: &str, fence: Fence, token: &StoredToken) -> Result<Written, StoreError>;
    /// Gives the right to fetch back, if `owner` still has the right.
    async fn unlock(&self, appid: &str, owner: &str) -> Result<(), StoreError>;
    /// Drops the token if it is still `failed`: a newer token that another process has fetched stays.
    async fn invalidate(&self, appid: &str, failed: &SecretString) -> Result<(), StoreError>;
}

/// media_ids of uploaded files, by account and content.
#[async_trait]
pub trait Media: Send + Sync {
    /// The media_id for the content with this SHA-256 (lowercase hex), unless the media_id is absent or expired.
    async fn get(&self, appid: &str, sha256: &str) -> Result<Option<String>, StoreError>;
    /// Keeps the media_id for `keep_for`; WeChat forgets media after 3 days.
    async fn put(&self, appid: &str, sha256: &str, media_id: &str, keep_for: Duration) -> Result<(), StoreError>;
    /// Drops the stored media_id if it is still `media_id`.
    async fn forget(&self, appid: &str, sha256: &str, media_id: &str) -> Result<(), StoreError>;
}
