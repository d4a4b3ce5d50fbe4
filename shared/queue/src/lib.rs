//! The seam to the queue. Two implementations, one contract: [`rabbitmq`] for production, [`embedded`] for one process.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_messages::partition::Partition;
use kefu_messages::seat::Seat;
use kefu_runtime::health::Health;
use tokio_util::sync::CancellationToken;

pub mod dead_letters;
pub mod rabbitmq;

/// The waits before a message comes back, by how often it did; after the last it is a dead letter. RabbitMQ has a queue
/// for each.
pub const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
];

/// Why the queue did not do what it was asked. All of them pass.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// No connection. What was asked may have been done all the same.
    #[error("the queue cannot be reached: {0}")]
    Unavailable(String),
    /// The broker takes nothing for now (memory or disk alarm).
    #[error("the queue takes no messages now: {0}")]
    Blocked(String),
    /// The broker refused this message, for instance because the queue is full.
    #[error("the queue refused the message: {0}")]
    Refused(String),
    /// The delivery belongs to a session that has ended: it will be, or was, delivered again.
    #[error("the delivery's session has ended; the message is delivered again")]
    Stale,
}

/// Puts envelopes on the queue.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Returns `Ok` only when the message is stored durably. On an error it may have been stored all the same.
    ///
    /// Envelopes of one user that are published one after the other are delivered in that order. There is no time
    /// limit inside: callers wrap it in one, and dropping the future loses nothing and leaks nothing, though the
    /// message may then still be stored.
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError>;
    /// The state of the connection, without a round trip.
    fn health(&self) -> Health;
    /// Waits for the publishes that are under way, for `within` at most, then closes.
    async fn close(&self, within: Duration);
}

/// Takes messages off the queue.
#[async_trait]
pub trait Consumer: Send {
    /// The next message; waits for one, and through losses of the connection. `None` after [`Consumer::close`].
    ///
    /// At most `prefetch` deliveries of a partition are unsettled at a time. Within a partition they come in order.
    /// Cancel-safe: dropping the future loses no delivery, so it can be one branch of a `select!`.
    async fn next(&mut self) -> Option<Delivery>;
    /// The state of the connection, without a round trip.
    fn health(&self) -> Health;
    /// Stops, and gives what is unsettled back to its place in the queue. Settle what is finished first.
    async fn close(&mut self);
}

/// One message handed to this process.
///
/// Settle it, or drop it: a delivery that is dropped unsettled is delivered again in its place, and with it all unsettled
/// ones of its partition, those that came before it too. For that, [`Delivery::session`] of all of these is cancelled:
/// who holds one that is not begun yet drops it; who is in the middle of one may finish it and find that settling says
/// [`QueueError::Stale`].
///
/// Dropping is for what cannot be settled, not for what went wrong with the message: one that is dropped over and over
/// becomes a dead letter as [`DeadReason::DeliveryLimit`], and the RabbitMQ implementation counts that for all that go
/// back with it.
pub struct Delivery {
    /// What came: an envelope, or why the body is none (settle such a one as [`Settlement::Dead`]).
    pub envelope: Result<Envelope, EnvelopeError>,
    /// The partition it came from.
    pub partition: Partition,
    /// How often it was settled as [`Settlement::Retry`] before.
    pub attempt: u32,
    /// How often it was a dead letter and was replayed.
    pub replays: u32,
    /// Whether the queue handed it out before and got it back unsettled, as after a crash: an earlier handling may have
    /// got somewhere. A message that comes back from a wait is another delivery.
    pub redelivered: bool,
    /// Cancelled when this delivery can no longer be settled.
    pub session: CancellationToken,
    settle: Box<dyn Settle>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Handled.
    Done,
    /// Deliver again after about this long (the implementation rounds up to a delay it has), with `attempt` raised.
    /// Its order among the user's messages is given up.
    Retry {
        /// The wait.
        after: Duration,
        /// Why, for the operator; no secrets, texts or openids.
        error: String,
    },
    /// As [`Settlement::Retry`], with `attempt` unchanged: nothing was tried, or nothing that the message is to blame
    /// for. It can go on for ever: the caller ends it.
    Postpone {
        /// The wait.
        after: Duration,
        /// Why, for the operator; no secrets, texts or openids.
        error: String,
    },
    /// Not to be tried again by itself.
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
    /// The push is WeChat's and cannot be read: its bytes are in the envelope.
    Unreadable,
    /// WeChat will never take a reply of it.
    Refused,
    /// A webhook refused the message, or answered with what cannot be sent.
    WebhookRefused,
    /// WeChat's reply window for the user has closed.
    WindowClosed,
    /// All attempts are used up.
    Exhausted,
    /// The account is not, or no longer, configured.
    UnknownAccount,
    /// The program that handled it crashed over it, each time.
    Crashed,
    /// It was given back unsettled too often. The word is RabbitMQ's own, which makes such dead letters by itself.
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
    /// Carries the settlement out; `Ok` when it is durable.
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

    /// Tells the queue what became of the message. On an error the message is, or may be, delivered again.
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

/// What a consumer asks for.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// A name for this process among the consumers, the same for its lifetime only.
    pub id: String,
    /// How many unsettled deliveries of one partition this process holds at most.
    pub prefetch: u16,
    /// The process's number among those that share the queue, so that each gets equally many partitions. `None`: the shares
    /// are left to chance.
    pub seat: Option<Seat>,
}
