//! The reasons why a request fails: one table of status, label, title and level.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use tracing::Level;
use utoipa::ToSchema;

use crate::refusal::Refusal;

/// The problem with a request. The texts are for the client; a text that quotes the client's words must not reach the
/// log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// A head or a body that the OpenAPI document does not describe.
    Malformed(String),
    /// The request has no key, or a wrong key.
    Unauthenticated,
    UnknownAccount,
    UnknownMessage,
    /// The method is none of these.
    Method(&'static str),
    /// The body did not come in time.
    SlowBody,
    TooLarge,
    /// The Content-Type is not JSON.
    NotJson,
    /// The `Idempotency-Key` was used for another message.
    KeyReused,
    /// The body has the right shape, but WeChat would refuse the message, or kefu cannot send it.
    Unsendable(Vec<String>),
    /// The queue or the store did not accept the message in time, with the reason for the log; or kefu is starting or
    /// stopping.
    Unavailable(String),
}

/// The largest body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// After how many seconds another try makes sense.
const RETRY_AFTER_SECONDS: &str = "5";

/// What went wrong, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Names the kind of problem: `urn:kefu:problem:` and a word.
    #[serde(rename = "type")]
    #[schema(examples("urn:kefu:problem:idempotency-key-reused"))]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong with this request.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// All that was wrong with the message, where that is more than one thing may be.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<Vec<String>>,
}

/// The refusals that pushes and messages of a backend share.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge => Self::TooLarge,
            Refusal::SlowBody => Self::SlowBody,
            Refusal::CutBody => Self::Malformed(refusal.to_string()),
            Refusal::NotStored(reason) => Self::Unavailable(reason),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl Problem {
    fn row(&self) -> (u16, &'static str, &'static str, Level) {
        match self {
            Self::Malformed(_) => (400, "malformed-request", "The request is malformed", Level::WARN),
            Self::Unauthenticated => (401, "unauthenticated", "The API key is missing or wrong", Level::WARN),
            Self::UnknownAccount => (404, "unknown-account", "No such account is configured", Level::WARN),
            Self::UnknownMessage => (404, "unknown-message", "No such message is known", Level::INFO),
            Self::Method(_) => (405, "method-not-allowed", "The method is not allowed here", Level::INFO),
            Self::SlowBody => (408, "slow-body", "The body did not come in time", Level::WARN),
            Self::TooLarge => (413, "too-large", "The body is too large", Level::WARN),
            Self::NotJson => (415, "not-json", "The body must be JSON", Level::WARN),
            Self::KeyReused => {
                (422, "idempotency-key-reused", "The Idempotency-Key was used for another message", Level::WARN)
            }
            Self::Unsendable(_) => (422, "unsendable-message", "The message cannot be sent as it is", Level::WARN),
            Self::Unavailable(_) => (503, "unavailable", "kefu cannot take it now", Level::ERROR),
        }
    }

    /// The word for metrics and logs.
    pub(crate) fn label(&self) -> &'static str {
        self.row().1
    }

    fn detail(&self) -> Option<String> {
        Some(match self {
            Self::Malformed(what) => what.clone(),
            Self::Unauthenticated => "send the header Authorization: Bearer KEY with the key of [api]".to_owned(),
            Self::UnknownAccount => "the appid in the path is that of no [[account]]".to_owned(),
            Self::UnknownMessage => "it was never accepted, or more than 72 hours ago".to_owned(),
            Self::TooLarge => format!("the most is {MAX_BODY_BYTES} bytes"),
            Self::NotJson => "send the header Content-Type: application/json".to_owned(),
            Self::KeyReused => "use a new Idempotency-Key for each message, and the same only to repeat one".to_owned(),
            Self::Unavailable(_) => {
                "it may or may not have been stored: send it again, with the same Idempotency-Key".to_owned()
            }
            Self::Method(_) | Self::SlowBody | Self::Unsendable(_) => return None,
        })
    }

    /// Logs the problem once, without any text from the client.
    pub(crate) fn log(&self, operation: &'static str, account: &str) {
        let (status, label, _, level) = self.row();
        let reason = if let Self::Unavailable(reason) = self { reason } else { "" };
        match level {
            Level::ERROR => tracing::error!(operation, account, status, label, reason, "refused"),
            Level::WARN => tracing::warn!(operation, account, status, label, "refused"),
            _ => tracing::debug!(operation, account, status, label, "refused"),
        }
    }

    /// The HTTP answer for the problem.
    pub(crate) fn response(self) -> HttpResponse {
        let (status, word, title, _) = self.row();
        let detail = self.detail();
        let mut response =
            HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        match &self {
            Self::Unauthenticated => response.insert_header((WWW_AUTHENTICATE, "Bearer")),
            Self::Method(allowed) => response.insert_header((ALLOW, *allowed)),
            // The server must not read the rest of the body as the next request.
            Self::SlowBody | Self::TooLarge => response.force_close(),
            Self::Unavailable(_) => response.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => &mut response,
        };
        let problems = if let Self::Unsendable(problems) = self { Some(problems) } else { None };
        let kind = format!("urn:kefu:problem:{word}");
        response.content_type(HeaderValue::from_static("application/problem+json")).json(ProblemDocument {
            kind,
            title,
            status,
            detail,
            problems,
        })
    }
}
