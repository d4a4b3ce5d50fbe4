//! Refusals as a backend gets them: RFC 9457.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use tracing::Level;
use utoipa::ToSchema;

use crate::refusal::{Refusal, Row};

/// The media type of a [`Problem`].
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// The largest body, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// After how many seconds another try makes sense.
const RETRY_AFTER_SECONDS: &str = "5";

/// The reason why kefu refuses a request, as in RFC 9457.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// The kind of the problem: `urn:kefu:problem:` and a word.
    #[serde(rename = "type")]
    #[schema(examples("urn:kefu:problem:idempotency-key-reused"))]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The mistake in this request, or what to do.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// All mistakes of the message.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<Vec<String>>,
}

/// What a backend reads of the refusal beside its title.
pub(super) fn detail(refusal: &Refusal) -> Option<String> {
    Some(match refusal {
        Refusal::MalformedRequest(what) => what.clone(),
        Refusal::Unauthenticated(_) => "send the header Authorization: Bearer KEY with the key of [api]".to_owned(),
        Refusal::UnknownAccount => "the appid in the path is that of no [[account]]".to_owned(),
        Refusal::UnknownMessage => "it was never accepted, or more than 72 hours ago".to_owned(),
        Refusal::TooLarge => format!("the most is {MAX_BODY_BYTES} bytes"),
        Refusal::NotJson => "send the header Content-Type: application/json".to_owned(),
        Refusal::KeyReused => "use a new Idempotency-Key for each message, and the same only to repeat one".to_owned(),
        Refusal::Unavailable(_) => {
            "it may or may not have been stored: send it again, with the same Idempotency-Key".to_owned()
        }
        _ => return None,
    })
}

/// Logs the refusal once, without any text from the client.
pub(super) fn log(refusal: &Refusal, operation: &'static str, account: &str) {
    let Row { status, word: label, level, .. } = refusal.row();
    let reason = if let Refusal::Unavailable(reason) = refusal { reason } else { "" };
    match level {
        Level::ERROR => tracing::error!(operation, account, status, label, reason, "refused"),
        Level::WARN => tracing::warn!(operation, account, status, label, "refused"),
        _ => tracing::debug!(operation, account, status, label, "refused"),
    }
}

/// The HTTP answer for the refusal.
pub(super) fn response(refusal: Refusal) -> HttpResponse {
    let Row { status, word, title, .. } = refusal.row();
    let detail = detail(&refusal);
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    match &refusal {
        Refusal::Unauthenticated(_) => response.insert_header((WWW_AUTHENTICATE, "Bearer")),
        Refusal::Method(allowed) => response.insert_header((ALLOW, *allowed)),
        Refusal::Unavailable(_) => response.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS)),
        _ => &mut response,
    };
    if refusal.ends_connection() {
        response.force_close();
    }
    let problems = if let Refusal::Unsendable(problems) = refusal { Some(problems) } else { None };
    let kind = format!("urn:kefu:problem:{word}");
    response.content_type(HeaderValue::from_static(PROBLEM_JSON)).json(Problem {
        kind,
        title,
        status,
        detail,
        problems,
    })
}
