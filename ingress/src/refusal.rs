//! The reasons why ingress refuses a request, of WeChat on the callback URL or of a team's backend on `/v1`: one table
//! of status, level and names.

use std::time::Duration;

use kefu_wechat::cipher::CipherError;
use kefu_wechat::push::PushError;
use tracing::Level;

use crate::freshness::Stale;

/// Why ingress refused a request. The message of the error is for the log; it quotes nothing of a backend's request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no account of the configuration has this appid")]
    UnknownAccount,
    /// The signature is not WeChat's, or a value that the signature covers is missing; or the key of `/v1` is missing
    /// or wrong.
    #[error("not authenticated: {0}")]
    Unauthenticated(&'static str),
    #[error("the body is larger than [ingress] max_body_bytes")]
    TooLarge,
    #[error("the body did not come in time")]
    SlowBody,
    /// The connection ended in the body, or its framing is wrong.
    #[error("the body was cut")]
    CutBody,
    /// The queue or the store did not do its part in time, for this reason; or kefu is starting or stopping.
    #[error("the push was not stored in time: {0}")]
    Unavailable(String),

    #[error("other bodies take up [ingress] max_buffered_bytes: there was no room for this body in time")]
    NoRoom,
    #[error("the signature is right, and its timestamp {0}")]
    Stale(Stale),
    #[error(
        "the signature is right, but kefu cannot decrypt the body ({0}): copy the EncodingAESKey from WeChat's console"
    )]
    Cipher(CipherError),
    /// The content is no push, and is not known to come from WeChat.
    #[error("not a push: {0}")]
    Malformed(PushError),
    /// The content may come from WeChat, ingress cannot read it because of `error`, and does not keep it because of
    /// `why`.
    #[error("not a push: {error}; {why}")]
    UnreadableRefused { error: PushError, why: String },
    /// WeChat wants a decision, and the webhook that should make the decision made none.
    #[error("the webhook made no decision: {0}")]
    Undecided(String),

    /// A head or a body that the OpenAPI document does not describe. The text is for the client.
    #[error("the request is malformed")]
    MalformedRequest(String),
    #[error("no such message is known")]
    UnknownMessage,
    #[error("the method is not {0}")]
    Method(&'static str),
    #[error("the body is not JSON")]
    NotJson,
    #[error("the Idempotency-Key was used for another message")]
    KeyReused,
    /// The body has the right shape, but WeChat would refuse the message, or kefu cannot send it. The texts are for the
    /// client.
    #[error("the message cannot be sent")]
    Unsendable(Vec<String>),
}

impl From<Stale> for Refusal {
    fn from(stale: Stale) -> Self {
        Self::Stale(stale)
    }
}

/// A refusal's row in the table.
pub(crate) struct Row {
    pub(crate) status: u16,
    pub(crate) level: Level,
    /// The name in metrics and logs of the callback URL.
    pub(crate) label: &'static str,
    /// The name on `/v1`: in metrics, in logs, and in the `type` of the problem.
    pub(crate) word: &'static str,
    /// What a backend reads.
    pub(crate) title: &'static str,
}

impl Refusal {
    /// The table. Refusals from which an attacker could learn get the same answer.
    pub(crate) fn row(&self) -> Row {
        const UNAVAILABLE: (&str, &str) = ("unavailable", "kefu cannot take it now");
        let both = |status, level, label, (word, title)| Row { status, level, label, word, title };
        let push = |status, level, label| both(status, level, label, UNAVAILABLE);
        let v1 = |status, level, word, title| both(status, level, word, (word, title));
        match self {
            Self::UnknownAccount => {
                both(404, Level::WARN, "unknown_account", ("unknown-account", "No such account is configured"))
            }
            Self::Unauthenticated(_) => {
                both(401, Level::WARN, "unauthenticated", ("unauthenticated", "The API key is missing or wrong"))
            }
            Self::TooLarge => both(413, Level::WARN, "too_large", ("too-large", "The body is too large")),
            Self::SlowBody => both(408, Level::WARN, "slow_body", ("slow-body", "The body did not come in time")),
            Self::Unavailable(_) => both(503, Level::ERROR, "not_stored", UNAVAILABLE),

            Self::CutBody => push(400, Level::INFO, "cut_body"),
            Self::NoRoom => push(503, Level::ERROR, "no_room"),
            // `ClockWarning` logs stale requests, with more detail and less often.
            Self::Stale(_) => push(401, Level::DEBUG, "stale"),
            Self::Cipher(_) => push(401, Level::ERROR, "undecryptable"),
            Self::Malformed(_) => push(400, Level::WARN, "malformed"),
            Self::UnreadableRefused { .. } => push(400, Level::WARN, "unreadable_refused"),
            Self::Undecided(_) => push(503, Level::ERROR, "undecided"),

            Self::MalformedRequest(_) => v1(400, Level::WARN, "malformed-request", "The request is malformed"),
            Self::UnknownMessage => v1(404, Level::INFO, "unknown-message", "No such message is known"),
            Self::Method(_) => v1(405, Level::INFO, "method-not-allowed", "The method is not allowed here"),
            Self::NotJson => v1(415, Level::WARN, "not-json", "The body must be JSON"),
            Self::KeyReused => {
                v1(422, Level::WARN, "idempotency-key-reused", "The Idempotency-Key was used for another message")
            }
            Self::Unsendable(_) => v1(422, Level::WARN, "unsendable-message", "The message cannot be sent as it is"),
        }
    }

    /// The body of the answer to WeChat. All refusals with the same status have the same body.
    pub(crate) fn text(&self) -> &'static str {
        match self.row().status {
            400 => "this is not a push\n",
            401 => "not authenticated\n",
            404 => "not found\n",
            408 => "the request took too long\n",
            413 => "the body is too large\n",
            _ => "not stored, please send it again\n",
        }
    }

    /// Whether ingress must close the connection, because it must not read the rest of the request as the next request.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(self, Self::TooLarge | Self::SlowBody | Self::CutBody | Self::NoRoom)
    }

    /// Logs the refusal of a request on the callback URL once.
    pub(crate) fn log(&self, kind: &'static str, appid: &str, took: Duration) {
        let Row { status, label, level, .. } = self.row();
        // A path that names no account is a stranger's text.
        let known = *self != Self::UnknownAccount || looks_like_an_appid(appid);
        let account = if known { appid } else { "(not an appid)" };
        let reason = shown(&self.to_string());
        let took_ms = took.as_millis() as u64;
        match level {
            Level::ERROR => tracing::error!(kind, account, status, label, took_ms, reason, "refused"),
            Level::WARN => tracing::warn!(kind, account, status, label, took_ms, reason, "refused"),
            Level::DEBUG => tracing::debug!(kind, account, status, label, took_ms, reason, "refused"),
            _ => tracing::info!(kind, account, status, label, took_ms, reason, "refused"),
        }
    }
}

fn looks_like_an_appid(text: &str) -> bool {
    text.len() <= 32 && text.starts_with("wx") && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A reason in a form that is safe to log, whoever worded it: short, on one line, without characters that a terminal
/// would obey.
pub(crate) fn shown(reason: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown = String::new();
    for (index, character) in reason.chars().enumerate() {
        if index == LONGEST {
            shown.push('…');
            break;
        }
        match character {
            // Line ends and changes of direction that are not control characters.
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(character.escape_unicode()),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_short_and_on_one_line() {
        let reason = shown("the queue \"said\":\r\n\u{1b}[31mERROR 客服\u{2028}\u{202e}x");
        assert_eq!(reason, "the queue \"said\":\\r\\n\\u{1b}[31mERROR 客服\\u{2028}\\u{202e}x");
        assert_eq!(shown(&"客".repeat(201)), format!("{}…", "客".repeat(200)));
        assert_eq!(shown(&"x".repeat(200)), "x".repeat(200));
    }

    #[test]
    fn only_what_could_be_an_appid_is_shown_of_a_strangers_path() {
        assert!(looks_like_an_appid("wx0123456789abcdef"));
        for path in ["oUSER0123456789abcdefghijkl", "wx\n", "", &"wx1".repeat(20)] {
            assert!(!looks_like_an_appid(path), "{path:?}");
        }
    }
}
