//! Webhooks: the team's own service is asked what to do with a push. docs/webhook.md is the contract.
//!
//! * [`Question`]: what is posted. * [`Webhooks`]: the call, signed.
//! * [`replies()`] and [`decision()`]: what the answer says.

use std::time::Duration;

pub mod address;
mod client;
mod decision;
mod question;
mod replies;
mod settings;
mod signature;
mod turns;

pub use client::{Answer, Webhooks};
pub use decision::decision;
pub use question::{Media, MediaFile, Question};
pub use replies::replies;
pub use settings::Settings;

/// Why a webhook gave no answer that can be used. Texts are for the operator: they name the host, and have neither the
/// rest of the URL, which may hold a secret, nor anything of what was posted or answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may pass: no answer, an answer that is cut off, or one from something in front of the service.
    #[error("{error}")]
    Passing {
        /// What was in the way.
        error: String,
        /// How long the service asks to be left alone, at least.
        retry_after: Option<Duration>,
    },
    /// The same question would get the same answer.
    #[error("{0}")]
    Refused(String),
    /// It was not asked: others' calls took all the turns that there are.
    #[error("{0}")]
    Crowded(String),
    /// It answered, and whether its replies can be sent is not known: the disk with their pictures does not answer. That
    /// passes, and is not the service's failure.
    #[error("{0}")]
    Unchecked(String),
}

impl Failure {
    fn passing(error: impl Into<String>) -> Self {
        Self::Passing { error: error.into(), retry_after: None }
    }

    /// With the host of the webhook in front.
    fn of(self, host: &str) -> Self {
        let named = |error: String| format!("the webhook at {host}: {error}");
        match self {
            Self::Passing { error, retry_after } => Self::Passing { error: named(error), retry_after },
            Self::Refused(error) => Self::Refused(named(error)),
            Self::Crowded(error) => Self::Crowded(named(error)),
            Self::Unchecked(error) => Self::Unchecked(named(error)),
        }
    }

    /// The word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Passing { .. } => "failed",
            Self::Refused(_) => "refused",
            Self::Crowded(_) => "crowded",
            Self::Unchecked(_) => "unchecked",
        }
    }
}
