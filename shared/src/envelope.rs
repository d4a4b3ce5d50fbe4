//! The contract between the two services: what ingress puts on the queue.

use serde::{Deserialize, Serialize};

use crate::message_key::MessageKey;
use crate::partition::Partition;
use crate::wechat::push::Push;

/// The version that this code writes. Readers take any envelope whose `v` is this; fields are only ever added.
pub const VERSION: u32 = 1;

/// One push on its way to a worker, as JSON on the queue (`application/json`, UTF-8).
///
/// It is public: another program may consume the queue. Unknown fields must be ignored by readers.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Always [`VERSION`].
    pub v: u32,
    /// What makes two pushes the same one.
    pub key: MessageKey,
    /// The appid of the account whose callback URL was called.
    pub account: String,
    /// When ingress received the push: milliseconds since the Unix epoch.
    pub received_at_ms: u64,
    /// What the push says.
    pub push: Push,
    /// The decrypted text as it came, XML or JSON: what [`Push`] does not name is here. What was not UTF-8 is U+FFFD;
    /// what was ill-formed otherwise and mended for [`Push`] is ill-formed here.
    pub raw: String,
    /// What ingress did with the push in its answer to WeChat, if that was all there is to do: then nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// W3C trace context of the request, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// How ingress answered a push that needs no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// With `transfer_customer_service`: the message is with the human agents.
    Transfer,
    /// In a way that a newer ingress knows.
    #[serde(other)]
    Other,
}

/// A body on the queue that is no envelope of this version.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not the shape of an envelope. The text names the place, never the content.
    #[error("the body is not an envelope: {0}")]
    Malformed(String),
    /// Written by a newer kefu.
    #[error("the envelope has version {found}, this worker reads version {VERSION}: update the workers")]
    Version {
        /// The version found.
        found: u32,
    },
}

/// Without what the user wrote.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope").field("key", &self.key).field("account", &self.account).finish_non_exhaustive()
    }
}

impl Envelope {
    /// The envelope of a push to the account `account`, not answered yet, without trace context.
    pub fn of_push(account: &str, push: Push, raw: String, received_at_ms: u64) -> Self {
        let key = MessageKey::of(account, &push);
        Self {
            v: VERSION,
            key,
            account: account.to_owned(),
            received_at_ms,
            push,
            raw,
            answered: None,
            traceparent: None,
        }
    }

    /// The partition of the user who sent the push.
    pub fn partition(&self, count: u16) -> Partition {
        Partition::of(&self.account, &self.push.from_user, count)
    }

    /// The JSON text.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and string-keyed maps only: serialising them has no way to fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Envelope::to_json`] wrote.
    pub fn from_json(body: &[u8]) -> Result<Self, EnvelopeError> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        // serde_json's own message would quote the offending value, which may be a user's text.
        let malformed = |error: serde_json::Error| {
            EnvelopeError::Malformed(format!("line {} column {}", error.line(), error.column()))
        };
        let Versioned { v } = serde_json::from_slice(body).map_err(malformed)?;
        if v != VERSION {
            return Err(EnvelopeError::Version { found: v });
        }
        serde_json::from_slice(body).map_err(malformed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(change: impl Fn(&str) -> String) -> Envelope {
        let envelope = Envelope { answered: Some(Answered::Transfer), ..crate::testing::envelope("o", 1) };
        let json = String::from_utf8(envelope.to_json()).unwrap();
        Envelope::from_json(change(&json).as_bytes()).unwrap()
    }

    #[test]
    fn what_was_answered_is_kept_and_an_answer_of_a_newer_version_is_one() {
        let answered = r#""answered":"transfer""#;
        assert_eq!(read(str::to_owned).answered, Some(Answered::Transfer));
        assert_eq!(read(|json| json.replace(answered, r#""answered":"telepathy""#)).answered, Some(Answered::Other));
        assert_eq!(read(|json| json.replace(answered, r#""unknown":1"#)).answered, None);
    }

    #[test]
    fn an_envelope_that_is_not_answered_does_not_speak_of_it() {
        let json = crate::testing::envelope("o", 1).to_json();
        assert!(!String::from_utf8(json).unwrap().contains("answered"));
    }
}
