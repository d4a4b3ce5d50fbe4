//! Webhooks: kefu asks the team's own service what to do with a push. docs/webhook.md is the contract.
//!
//! * [`Question`]: the body of the call.
//! * [`Webhooks`]: the call, signed.
//! * [`replies()`] and [`decision()`]: the content of the answer.

use std::time::Duration;

use kefu_runtime::{Cause, Class};
use secrecy::SecretString;

pub mod address;
mod client;
mod decision;
mod gates;
mod question;
mod replies;
mod signature;

pub use client::{Answer, Webhooks};
pub use decision::decision;
pub use question::{Media, MediaFile, Question};
pub use replies::replies;

/// `[webhook]`: the settings of all rules with a webhook.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The secret that signs calls; at least 16 characters.
    pub secret: Option<SecretString>,
    /// How long one call may take. Default 5 seconds.
    pub timeout: Duration,
    /// How many calls of one webhook are under way at once. Default 64.
    pub concurrency: usize,
    /// Whether the client follows redirects with status 307 and 308 to the same scheme, host and port. Default false.
    pub allow_redirects: bool,
    /// Whether the client may call link-local addresses and those of cloud metadata. Default false.
    pub allow_link_local: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secret: None,
            timeout: Duration::from_secs(5),
            concurrency: 64,
            allow_redirects: false,
            allow_link_local: false,
        }
    }
}

/// Why a webhook gave no usable answer. The texts are for the operator. They name the host. They contain neither the rest
/// of the URL, which may contain a secret, nor anything of the question or the answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The failure may pass: no answer, an incomplete answer, or an answer from something in front of the service.
    #[error("{error}")]
    Passing {
        /// The cause.
        #[source]
        error: Cause,
        /// How long the service asks kefu to wait, at least.
        retry_after: Option<Duration>,
    },
    /// The same question would get the same answer.
    #[error("{0}")]
    Refused(#[source] Cause),
    /// The webhook was not asked: other calls used all permits.
    #[error("{0}")]
    Crowded(#[source] Cause),
    /// The webhook answered, but kefu does not know whether the replies can be sent: the disk with their pictures does not
    /// answer. That passes, and is not the service's failure.
    #[error("{0}")]
    Unchecked(#[source] Cause),
}

impl Failure {
    fn passing(error: impl Into<Cause>) -> Self {
        Self::Passing { error: error.into(), retry_after: None }
    }

    /// With the host of the webhook at the front.
    fn of(self, host: &str) -> Self {
        let named = |error: Cause| error.at(format_args!("the webhook at {host}"));
        match self {
            Self::Passing { error, retry_after } => Self::Passing { error: named(error), retry_after },
            Self::Refused(error) => Self::Refused(named(error)),
            Self::Crowded(error) => Self::Crowded(named(error)),
            Self::Unchecked(error) => Self::Unchecked(named(error)),
        }
    }

    /// What the caller can do.
    pub fn class(&self) -> Class {
        match self {
            Self::Passing { retry_after: None, .. } | Self::Unchecked(_) => Class::Transient,
            Self::Passing { retry_after: Some(_), .. } | Self::Crowded(_) => Class::Throttled,
            Self::Refused(_) => Class::Refused,
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
