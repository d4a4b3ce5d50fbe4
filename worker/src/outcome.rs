//! The outcome of an attempt, and the interrupt that can end one early.

use std::sync::LazyLock;
use std::time::Duration;

use kefu_queue::DeadReason;
use tokio_util::sync::CancellationToken;

/// How long a message may be retried in its lane, from its first failure on. The user's next messages wait meanwhile.
/// After that the message leaves its lane with [`Outcome::Retry`].
pub(crate) const RETRY_TOTAL: Duration = Duration::from_secs(60);

/// How an attempt ends. An outcome that a stage returns as an error ends the attempt before the later stages. Its texts
/// are for the operator and hold no secrets, users' texts or openids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All replies are sent.
    Done,
    /// Ingress has answered the push, and there is nothing to send.
    Answered,
    /// No rule gives a reply.
    Ignored,
    /// An earlier attempt sent all replies.
    Duplicate,
    /// The message deserves another try, later.
    Retry {
        /// The shortest wait that makes sense.
        at_least: Duration,
        /// The error that stopped the attempt.
        error: String,
        /// The dead-letter reason once all tries are used up.
        in_the_end: DeadReason,
    },
    /// The message deserves another try, later, and the wait costs no try, because the cause lies elsewhere: the
    /// account is paused, the worker did not ask the webhook, an earlier message of the user goes first, or memory has
    /// no room for the picture.
    Postpone {
        /// The shortest wait that makes sense.
        at_least: Duration,
        /// The error that stops the attempt.
        error: String,
    },
    /// Another try would not help the message.
    Dead {
        /// The dead-letter reason.
        reason: DeadReason,
        /// The error that stopped the attempt.
        error: String,
    },
    /// The process shuts down, or the delivery's session is over. The delivery goes back to the queue unchanged.
    HandedBack,
    /// Another worker has taken the message over, so this worker must send and write nothing more for the message.
    Fenced,
}

impl Outcome {
    pub(crate) fn retry(error: impl Into<String>) -> Self {
        Self::retry_or_dead(DeadReason::Exhausted, error)
    }

    /// Makes an [`Outcome::retry`] with the dead-letter reason once all tries are used up.
    pub(crate) fn retry_or_dead(in_the_end: DeadReason, error: impl Into<String>) -> Self {
        Self::Retry { at_least: Duration::ZERO, error: error.into(), in_the_end }
    }

    pub(crate) fn dead(reason: DeadReason, error: impl Into<String>) -> Self {
        Self::Dead { reason, error: error.into() }
    }

    /// Whether the message waits in the queue for another attempt, so that the user's next messages must wait for it.
    pub(crate) fn leaves_the_lane(&self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Postpone { .. })
    }

    /// The same outcome, with the error of another outcome added to its own.
    pub(crate) fn and(self, what: &str, other: &Self) -> Self {
        let why = match other {
            Self::Fenced => "another worker has taken the message over",
            Self::HandedBack => "the worker was shut down",
            Self::Retry { error, .. } | Self::Postpone { error, .. } | Self::Dead { error, .. } => error,
            Self::Done | Self::Answered | Self::Ignored | Self::Duplicate => return self,
        };
        let and = |error| format!("{error}; {what}: {why}");
        match self {
            Self::Retry { at_least, error, in_the_end } => Self::Retry { at_least, error: and(error), in_the_end },
            Self::Postpone { at_least, error } => Self::Postpone { at_least, error: and(error) },
            Self::Dead { reason, error } => Self::Dead { reason, error: and(error) },
            without_error => without_error,
        }
    }
}

/// An interrupt ends waits: the process shuts down, or the delivery's session ends.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    shutdown: CancellationToken,
    session: CancellationToken,
}

impl Interrupt {
    pub(crate) fn new(shutdown: &CancellationToken, session: &CancellationToken) -> Self {
        Self { shutdown: shutdown.clone(), session: session.clone() }
    }

    /// An interrupt that never comes, for writes that must go on as long as the process lives.
    pub(crate) fn never() -> &'static Self {
        static NEVER: LazyLock<Interrupt> =
            LazyLock::new(|| Interrupt { shutdown: CancellationToken::new(), session: CancellationToken::new() });
        &NEVER
    }

    /// Waits for `wait`, until an interruption at most.
    pub(crate) async fn or<T>(&self, wait: impl Future<Output = T>) -> Result<T, Outcome> {
        if self.shutdown.is_cancelled() || self.session.is_cancelled() {
            return Err(Outcome::HandedBack);
        }
        tokio::select! {
            biased;
            // First, since a wait that is over at once, as most are, then does not join those who wait for the interrupt.
            output = wait => Ok(output),
            () = self.shutdown.cancelled() => Err(Outcome::HandedBack),
            () = self.session.cancelled() => Err(Outcome::HandedBack),
        }
    }
}
