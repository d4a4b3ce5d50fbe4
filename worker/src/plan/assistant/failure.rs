//! Why the assistant gave no answer.

use std::fmt;
use std::time::Duration;

/// What was in the way, in a text for the operator without key, question or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    why: String,
    /// How long the server wants to be left alone.
    retry_after: Option<Duration>,
}

/// The kinds, as metrics tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No whole answer within the time.
    Timeout,
    /// No connection.
    Unreachable,
    /// The server has too much to do, or the account has used up its share for now: 429.
    Throttled,
    /// The server failed: 5xx, or an answer that breaks off.
    Failed,
    /// The server does not take the request: another 4xx, or a redirect.
    Rejected,
    /// The request may be too long for the model: 400, 413, 422.
    Unacceptable,
    /// What came is no completion.
    Unusable,
    /// A completion without a text.
    Empty,
    /// The model declined to answer, or a filter held its answer back.
    Withheld,
    /// It was never asked: too many others were.
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

    /// Whether it stays so until the operator mends it.
    pub(crate) fn is_for_the_operator(self) -> bool {
        matches!(self, Self::Rejected | Self::Unacceptable | Self::Unusable)
    }
}

impl Failure {
    pub(crate) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), retry_after: None }
    }

    pub(crate) fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// How long to wait before the next try, after `tries` earlier ones.
    pub(crate) fn wait(&self, tries: u32) -> Duration {
        let most = Duration::from_millis(500) * 2_u32.pow(tries);
        self.retry_after.unwrap_or_else(|| rand::random_range(most / 2..=most))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
