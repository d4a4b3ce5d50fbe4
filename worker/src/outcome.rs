//! How an attempt at a message ends, and what interrupts it.

use std::time::Duration;

use kefu_queue::DeadReason;
use tokio_util::sync::CancellationToken;

/// How an attempt ends. As an error, an outcome ends the attempt before all stages are through. Texts are for the operator,
/// without secrets, users' texts or openids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All replies are sent.
    Done,
    /// Ingress has answered the push, and there is nothing to send.
    Answered,
    /// No rule says a reply.
    Ignored,
    /// An earlier attempt sent all replies.
    Duplicate,
    /// The message is worth another try, later.
    Retry {
        /// The least wait that makes sense.
        at_least: Duration,
        /// What was in the way.
        error: String,
        /// The dead-letter reason once all tries are used up.
        in_the_end: DeadReason,
    },
    /// The message is worth another try, later, which costs no try, because the cause lies elsewhere: its account is paused,
    /// its webhook is not asked, an earlier message of its user goes first, or there is no room for its picture.
    Postpone {
        /// The least wait that makes sense.
        at_least: Duration,
        /// What is in the way.
        error: String,
    },
    /// The message is not worth another try.
    Dead {
        /// The kind of reason.
        reason: DeadReason,
        /// What was in the way.
        error: String,
    },
    /// The process shuts down, or the delivery's session is over: the delivery goes back to the queue as it came.
    HandedBack,
    /// Another worker has taken the message over: this one must not send or write anything more for it.
    Fenced,
}

impl Outcome {
    pub(crate) fn retry(error: impl Into<String>) -> Self {
        Self::retry_or_dead(DeadReason::Exhausted, error)
    }

    /// As [`Outcome::retry`], with the dead-letter reason once all tries are used up.
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

    /// The same outcome, with the reason for another one added to its error.
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

/// What ends waits: the process's shutdown, and the end of the delivery's session.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    shutdown: CancellationToken,
    session: CancellationToken,
}

impl Interrupt {
    pub(crate) fn new(shutdown: &CancellationToken, session: &CancellationToken) -> Self {
        Self { shutdown: shutdown.clone(), session: session.clone() }
    }

    /// An interrupt that never comes, for writes that must go on while the process lives.
    pub(crate) fn never() -> Self {
        Self { shutdown: CancellationToken::new(), session: CancellationToken::new() }
    }

    /// Waits for `wait`, but not beyond an interruption.
    pub(crate) async fn or<T>(&self, wait: impl Future<Output = T>) -> Result<T, Outcome> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Err(Outcome::HandedBack),
            () = self.session.cancelled() => Err(Outcome::HandedBack),
            output = wait => Ok(output),
        }
    }
}
