//! The reasons why ingress does not answer a request with `success`: one table of status, label and level.

use std::time::Duration;

use kefu_wechat::cipher::CipherError;
use kefu_wechat::push::PushError;
use tracing::Level;

use crate::freshness::Stale;

/// Why ingress refused a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The path names no account of the configuration.
    #[error("no such account is configured")]
    UnknownAccount,
    /// The body is larger than allowed.
    #[error("the body is larger than [ingress] max_body_bytes")]
    TooLarge,
    /// The body did not come in time.
    #[error("the body did not come in time")]
    SlowBody,
    /// The connection ended in the body, or its framing is wrong.
    #[error("the body was cut")]
    CutBody,
    /// Ingress held too many bytes of other bodies.
    #[error("no room for the body within [ingress] max_buffered_bytes")]
    NoRoom,
    /// The signature is not WeChat's, or a value that the signature covers is missing.
    #[error("not authenticated: {0}")]
    Unauthenticated(&'static str),
    /// The signature is right, and its timestamp is too far from the clock.
    #[error("the signature is right, and its timestamp {0}")]
    Stale(Stale),
    /// Ingress cannot decrypt `Encrypt`.
    #[error(
        "the signature is right, and the ciphertext cannot be opened ({0}): the EncodingAESKey is not the console's"
    )]
    Cipher(CipherError),
    /// The content is no push, and is not known to come from WeChat.
    #[error("not a push: {0}")]
    Malformed(PushError),
    /// The content may come from WeChat, ingress cannot read it, and ingress does not keep it.
    #[error("not a push: {error}; {why}")]
    UnreadableRefused {
        /// Why ingress cannot read the content.
        error: PushError,
        /// Why ingress does not keep the content.
        why: String,
    },
    /// WeChat wants a decision, and the webhook that should make the decision made none.
    #[error("not decided: {0}")]
    Undecided(String),
    /// Ingress could not store the push in time.
    #[error("not stored in time: {0}")]
    NotStored(String),
}

impl Refusal {
    /// The status, label and level of each refusal. Refusals from which an attacker could learn get the same answer.
    fn row(&self) -> (u16, &'static str, Level) {
        match self {
            Self::UnknownAccount => (404, "unknown_account", Level::WARN),
            Self::TooLarge => (413, "too_large", Level::WARN),
            Self::SlowBody => (408, "slow_body", Level::WARN),
            Self::CutBody => (400, "cut_body", Level::INFO),
            Self::NoRoom => (503, "no_room", Level::ERROR),
            Self::Unauthenticated(_) => (401, "unauthenticated", Level::WARN),
            // `ClockWarning` logs stale requests, with more detail and less often.
            Self::Stale(_) => (401, "stale", Level::DEBUG),
            Self::Cipher(_) => (401, "undecryptable", Level::ERROR),
            Self::Malformed(_) => (400, "malformed", Level::WARN),
            Self::UnreadableRefused { .. } => (400, "unreadable_refused", Level::WARN),
            Self::Undecided(_) => (503, "undecided", Level::ERROR),
            Self::NotStored(_) => (503, "not_stored", Level::ERROR),
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        self.row().0
    }

    /// The word for metrics and logs.
    pub(crate) fn label(&self) -> &'static str {
        self.row().1
    }

    /// The body of the answer. All refusals with the same status have the same body.
    pub(crate) fn text(&self) -> &'static str {
        match self.status() {
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

    /// Logs the refusal once.
    pub(crate) fn log(&self, kind: &'static str, appid: &str, took: Duration) {
        let (status, label, level) = self.row();
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
