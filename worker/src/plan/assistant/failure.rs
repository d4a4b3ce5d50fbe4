//! Why the assistant gave no answer.

use std::time::Duration;

use kefu_runtime::Cause;

/// The cause of a missing answer, in a text for the operator without key, question or answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    #[source]
    why: Cause,
    /// How long the server wants to get no requests.
    retry_after: Option<Duration>,
}

/// The kinds of failures that metrics tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The server gave no whole answer within the time.
    Timeout,
    /// The client got no connection.
    Unreachable,
    /// The server has too much to do, or the account has used up its share for now: 429.
    Throttled,
    /// The server failed: 5xx, or an answer that breaks off.
    Failed,
    /// The server does not take the request: another 4xx, or a redirect.
    Rejected,
    /// The request may be too long for the model: 400, 413, 422.
    Unacceptable,
    /// The answer is no completion.
    Unusable,
    /// The answer is a completion without a text.
    Empty,
    /// The model declined to answer, or a filter held its answer back.
    Withheld,
    /// The worker did not ask the assistant, since too many other questions were waiting.
    Crowded,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Rejected | Self::Unacceptable => "rejected",
            Self::Unusable => "unusable",
            Self::Empty => "empty",
            Self::Withheld => "withheld",
            Self::Crowded => "crowded",
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::Unreachable | Self::Throttled | Self::Failed)
    }

    /// Whether a shorter request may succeed.
    pub(crate) fn may_come_of_length(self) -> bool {
        self == Self::Unacceptable
    }

    /// Whether the failure lasts until the operator removes its cause.
    pub(crate) fn is_for_the_operator(self) -> bool {
        matches!(self, Self::Rejected | Self::Unacceptable | Self::Unusable)
    }
}

impl Failure {
    pub(crate) fn new(kind: Kind, why: impl Into<Cause>) -> Self {
        Self { kind, why: why.into(), retry_after: None }
    }

    pub(crate) fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// The wait before the next try, after `tries` earlier ones.
    pub(crate) fn wait(&self, tries: u32) -> Duration {
        let most = Duration::from_millis(500) * 2_u32.pow(tries);
        self.retry_after.unwrap_or_else(|| rand::random_range(most / 2..=most))
    }
}
