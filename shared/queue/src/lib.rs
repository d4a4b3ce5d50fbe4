//! The seam to the queue. The seam has two implementations under one contract: [`rabbitmq`] for production, and the crate
//! kefu-embedded for one process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_messages::partition::{Partition, Seat};
use kefu_runtime::health::Health;
use kefu_runtime::{Cause, Class};
use tokio_util::sync::CancellationToken;

pub mod dead_letters;
pub mod rabbitmq;
mod turn;

pub use turn::{Turn, Turns};

/// The waits before a message comes back, by the number of its earlier waits; after the last wait the message is a dead
/// letter. RabbitMQ has a queue for each wait.
pub const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
];

/// Why the queue did not do a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// There is no connection. The call may have been done all the same.
    #[error("the queue cannot be reached: {0}")]
    Unavailable(#[source] Cause),
    /// The broker accepts nothing for now (memory or disk alarm).
    #[error("the queue takes no messages now: {0}")]
    Blocked(#[source] Cause),
    /// The broker did not store this message: the queue of its partition is missing or full. Ingress tries again all the
    /// same.
    #[error("the queue refused the message: {0}")]
    Refused(#[source] Cause),
    /// The session of the delivery has ended: the message will be, or was, delivered again.
    #[error("the delivery's session has ended; the message is delivered again")]
    Stale,
}

impl QueueError {
    /// What the caller can do.
    pub fn class(&self) -> Class {
        match self {
            Self::Unavailable(_) | Self::Stale => Class::Transient,
            Self::Blocked(_) => Class::Throttled,
            Self::Refused(_) => Class::Refused,
        }
    }
}

/// Puts envelopes on the queue.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Returns `Ok` only when the message is stored durably. After an error the message may have been stored all the same.
    ///
    /// The publisher holds `turn` until the fate of the message is known, even if the future is dropped. So envelopes of
    /// one user are delivered in the order of their turns. A caller that repeats the call after an error keeps a clone of
    /// the turn meanwhile. The method has no time limit of its own, so the caller wraps it in one. Dropping the future
    /// loses nothing and leaks nothing, but the message may still be stored.
    async fn publish(&self, envelope: &Envelope, turn: Turn) -> Result<(), QueueError>;
    /// The same publisher for the callers of one thread, inside whose runtime this is called. If messages would otherwise
    /// pass from thread to thread, the result has a connection of its own on the current runtime. Close the result before
    /// the thread ends; from then on its messages go through `self`.
    fn local(self: Arc<Self>) -> Arc<dyn Publisher>;
    /// The state of the connection, without a round trip.
    fn health(&self) -> Health;
    /// Waits for the publishes under way, for `within` at most, then closes.
    async fn close(&self, within: Duration);
}

/// Takes messages off the queue.
#[async_trait]
pub trait Consumer: Send {
    /// The next message. The method waits for a message, also while the connection is lost. `None` after
    /// [`Consumer::close`].
    ///
    /// At most `prefetch` deliveries of a partition are unsettled at a time. Within a partition deliveries come in order.
    /// The method is cancel-safe: dropping the future loses no delivery, so it can be one branch of a `select!`.
    async fn next(&mut self) -> Option<Delivery>;
    /// The state of the connection, without a round trip.
    fn health(&self) -> Health;
    /// Stops, and gives unsettled deliveries back to their places in the queue. Settle finished messages first.
    async fn close(&mut self);
}

/// One message handed to this process.
///
/// Settle a delivery or drop it. A dropped delivery is delivered again in its place, together with all other unsettled
/// deliveries of its partition, including earlier ones. [`Delivery::session`] of all of these is cancelled. If you hold a
/// delivery that you have not begun, drop it. If you are in the middle of a delivery, you may finish it, and settling then
/// returns [`QueueError::Stale`].
///
/// Drop a delivery only if it cannot be settled, not if something went wrong with its message: a delivery that is dropped
/// over and over becomes a dead letter as [`DeadReason::DeliveryLimit`], and the RabbitMQ implementation counts the drop
/// for all deliveries that go back with it.
pub struct Delivery {
    /// The envelope, or why the body is no envelope (settle such a delivery as [`Settlement::Dead`]).
    pub envelope: Result<Envelope, EnvelopeError>,
    /// The partition that the message came from.
    pub partition: Partition,
    /// How often the message was settled as [`Settlement::Retry`] before.
    pub attempt: u32,
    /// How often the message was a dead letter and was replayed.
    pub replays: u32,
    /// Whether the queue handed the delivery out before and got it back unsettled, for instance after a crash: an earlier
    /// handling may have done a part. A message that comes back from a wait is another delivery.
    pub redelivered: bool,
    /// Cancelled when this delivery can no longer be settled.
    pub session: CancellationToken,
    settle: Box<dyn Settle>,
}

/// How a message ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Handled.
    Done,
    /// Deliver the message again after about this time (the implementation rounds up to one of its delays), with `attempt`
    /// raised. The message loses its place among the user's messages.
    Retry {
        /// The wait.
        after: Duration,
        /// Why, for the operator; no secrets, texts or openids.
        error: String,
    },
    /// As [`Settlement::Retry`], with `attempt` unchanged: nothing was tried, or the cause lies outside the message. A
    /// message can be postponed for ever: the caller must end that.
    Postpone {
        /// The wait.
        after: Duration,
        /// Why, for the operator; no secrets, texts or openids.
        error: String,
    },
    /// Do not try the message again by itself.
    Dead {
        /// The kind of reason.
        reason: DeadReason,
        /// Why, for the operator; no secrets, texts or openids.
        error: String,
    },
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadReason {
    /// The body is no envelope that this version reads.
    Undecodable,
    /// The push comes from WeChat and cannot be read: its bytes are in the envelope.
    Unreadable,
    /// WeChat will never take a reply of the message.
    Refused,
    /// A webhook refused the message, or its answer cannot be sent.
    WebhookRefused,
    /// WeChat's reply window for the user has closed.
    WindowClosed,
    /// All attempts are used up.
    Exhausted,
    /// The account is not, or no longer, configured.
    UnknownAccount,
    /// The program that handled the message crashed over it, each time.
    Crashed,
    /// The delivery was given back unsettled too often. The word is RabbitMQ's own: RabbitMQ makes such dead letters by
    /// itself.
    DeliveryLimit,
}

impl DeadReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Undecodable,
        Self::Unreadable,
        Self::Refused,
        Self::WebhookRefused,
        Self::WindowClosed,
        Self::Exhausted,
        Self::UnknownAccount,
        Self::Crashed,
        Self::DeliveryLimit,
    ];

    /// The word used in headers, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::WebhookRefused => "webhook_refused",
            Self::WindowClosed => "window_closed",
            Self::Exhausted => "exhausted",
            Self::UnknownAccount => "unknown_account",
            Self::Crashed => "crashed",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// The implementation's half of a [`Delivery`]. Its `Drop`, when `settle` was not called, gives the message back.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Carries the settlement out; returns `Ok` when the settlement is durable.
    async fn settle(self: Box<Self>, settlement: Settlement) -> Result<(), QueueError>;
}

impl Delivery {
    /// Puts a delivery together; for implementations of [`Consumer`].
    pub fn new(
        envelope: Result<Envelope, EnvelopeError>,
        partition: Partition,
        attempt: u32,
        replays: u32,
        redelivered: bool,
        session: CancellationToken,
        settle: Box<dyn Settle>,
    ) -> Self {
        Self { envelope, partition, attempt, replays, redelivered, session, settle }
    }

    /// Tells the queue how the message ended. After an error the message is, or may be, delivered again.
    pub async fn settle(self, settlement: Settlement) -> Result<(), QueueError> {
        self.settle.settle(settlement).await
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("key", &self.envelope.as_ref().map(|envelope| &envelope.key))
            .field("partition", &self.partition)
            .field("attempt", &self.attempt)
            .field("replays", &self.replays)
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// The options of a consumer.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// A name for this process among the consumers, the same for its lifetime only.
    pub id: String,
    /// How many unsettled deliveries of one partition this process holds at most.
    pub prefetch: u16,
    /// The process's number among the processes that share the queue, so that all get equally many partitions. `None`: the
    /// shares are left to chance.
    pub seat: Option<Seat>,
}
