//! Why the work on a message ends before all of its steps are sent.

use std::time::Duration;

use kefu_queue::DeadReason;
use tokio_util::sync::CancellationToken;

/// Why the work on a message ends early. Texts are for the operator, without secrets, users' texts or openids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Another worker has the message: nothing more may be sent or written.
    Fenced,
    /// The process shuts down, or the delivery's session is over.
    Interrupted,
    /// It is worth another try, later.
    Later {
        /// The least wait that makes sense.
        at_least: Duration,
        /// What was in the way.
        error: String,
        /// As what it is given up when all tries are used up.
        in_the_end: DeadReason,
    },
    /// It is worth another try, later, and the message is not to blame: that costs it no try. Its account is paused, its
    /// webhook is not asked, an earlier message of its user goes first, or there is no room for its picture.
    Postponed {
        /// The least wait that makes sense.
        at_least: Duration,
        /// What is in the way.
        error: String,
    },
    /// It is not worth another try.
    Dead {
        /// The kind of reason.
        reason: DeadReason,
        /// What was in the way.
        error: String,
    },
}

impl Halt {
    pub(crate) fn later(error: impl Into<String>) -> Self {
        Self::later_or_dead(DeadReason::Exhausted, error)
    }

    /// As [`Halt::later`], with the reason for when all tries are used up.
    pub(crate) fn later_or_dead(in_the_end: DeadReason, error: impl Into<String>) -> Self {
        Self::Later { at_least: Duration::ZERO, error: error.into(), in_the_end }
    }

    /// The same, with something else that was in the way as well.
    pub(crate) fn and(self, what: &str, other: &Self) -> Self {
        let why = match other {
            Self::Fenced => "another worker has taken the message over",
            Self::Interrupted => "the worker was shut down",
            Self::Later { error, .. } | Self::Postponed { error, .. } | Self::Dead { error, .. } => error,
        };
        let and = |error| format!("{error}; {what}: {why}");
        match self {
            Self::Fenced | Self::Interrupted => self,
            Self::Later { at_least, error, in_the_end } => Self::Later { at_least, error: and(error), in_the_end },
            Self::Postponed { at_least, error } => Self::Postponed { at_least, error: and(error) },
            Self::Dead { reason, error } => Self::Dead { reason, error: and(error) },
        }
    }

    pub(crate) fn dead(reason: DeadReason, error: impl Into<String>) -> Self {
        Self::Dead { reason, error: error.into() }
    }
}

/// What ends waits: the process's shutdown and the delivery's session.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    shutdown: CancellationToken,
    session: CancellationToken,
}

impl Interrupt {
    pub(crate) fn new(shutdown: &CancellationToken, session: &CancellationToken) -> Self {
        Self { shutdown: shutdown.clone(), session: session.clone() }
    }

    /// One that never comes, for writes that must not be given up while the process lives.
    pub(crate) fn never() -> Self {
        Self { shutdown: CancellationToken::new(), session: CancellationToken::new() }
    }

    /// Waits for `wait`, but not beyond an interruption.
    pub(crate) async fn or<T>(&self, wait: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Err(Halt::Interrupted),
            () = self.session.cancelled() => Err(Halt::Interrupted),
            output = wait => Ok(output),
        }
    }
}
