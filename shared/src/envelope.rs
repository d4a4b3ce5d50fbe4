//! The contract between the two services: what ingress puts on the queue.

use serde::{Deserialize, Serialize};

use crate::message_key::MessageKey;
use crate::openid::OpenId;
use crate::outbound::{self, Outbound};
use crate::partition::Partition;
use crate::wechat::push::Push;

/// The version of a push's envelope. Readers take any envelope whose `v` they know; fields are only ever added.
pub const VERSION: u32 = 1;

/// The version of an envelope with [`Envelope::send`]: who does not know of that must not take it for a push.
pub const SEND_VERSION: u32 = 2;

/// One push, or one message of a team's own backend, on its way to a worker, as JSON on the queue (`application/json`,
/// UTF-8).
///
/// It is public: another program may consume the queue. Unknown fields must be ignored by readers.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`], or [`SEND_VERSION`] with [`Envelope::send`].
    pub v: u32,
    /// What makes two pushes the same one.
    pub key: MessageKey,
    /// The appid of the account whose callback URL was called.
    pub account: String,
    /// When ingress received it: milliseconds since the Unix epoch.
    pub received_at_ms: u64,
    /// What the push says; with [`Envelope::send`] it names the user, and says nothing.
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
    /// What a team's own backend sends to the user: there was no push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Outbound>,
}

/// How ingress answered a push that needs no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// With `transfer_customer_service`: the message is with the human agents.
    Transfer,
    /// With what a webhook decided.
    Webhook,
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
    #[error("the envelope has version {found}, this worker reads versions up to {SEND_VERSION}: update the workers")]
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
            send: None,
        }
    }

    /// The envelope of a message that a team's own backend sends to `user` of the account `account`, without trace
    /// context. It goes the way of the user's pushes, in turn with them.
    pub fn of_send(
        account: &str,
        idempotency_key: &str,
        user: OpenId,
        outbound: Outbound,
        received_at_ms: u64,
    ) -> Self {
        Self {
            v: SEND_VERSION,
            key: MessageKey::of_send(account, idempotency_key),
            account: account.to_owned(),
            received_at_ms,
            push: outbound::push_of(user, outbound.business_id, received_at_ms),
            raw: String::new(),
            answered: None,
            traceparent: None,
            send: Some(outbound),
        }
    }

    /// The partition of the user who sent the push, or to whom is sent.
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
        if ![VERSION, SEND_VERSION].contains(&v) {
            return Err(EnvelopeError::Version { found: v });
        }
        let envelope: Self = serde_json::from_slice(body).map_err(malformed)?;
        if envelope.send.is_some() != (v == SEND_VERSION) {
            let has = if v == SEND_VERSION { "no send" } else { "a send" };
            return Err(EnvelopeError::Malformed(format!("version {v} with {has}")));
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::reply::Content;

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

    fn sent() -> Envelope {
        let outbound = Outbound { replies: vec![Content::Text("on its way".into()).into()], business_id: Some(1) };
        Envelope::of_send("wx1", "order|1", OpenId::new("oUSER"), outbound, 1_700_000_000_123)
    }

    #[test]
    fn what_a_backend_sends_is_of_a_version_of_its_own_and_comes_back_as_it_was() {
        let envelope = sent();
        assert_eq!((envelope.v, envelope.key.as_str()), (2, "wx1|kefu_send|order%7C1"));
        assert_eq!((envelope.push.from_user.as_str(), envelope.push.msg_type.as_str()), ("oUSER", "kefu_send"));
        assert_eq!(Envelope::from_json(&envelope.to_json()).unwrap(), envelope);
        assert_eq!((envelope.push.business_id, envelope.push.opens()), (Some(1), None));
        assert!(!format!("{envelope:?}").contains("on its way"));
    }

    #[test]
    fn a_version_that_does_not_fit_what_is_there_is_refused() {
        let mut envelope = sent();
        envelope.v = 1;
        assert!(matches!(Envelope::from_json(&envelope.to_json()), Err(EnvelopeError::Malformed(_))));
        let push = Envelope { send: None, v: 2, ..sent() };
        assert!(matches!(Envelope::from_json(&push.to_json()), Err(EnvelopeError::Malformed(_))));
        let newer = Envelope { v: 3, ..sent() };
        assert!(matches!(Envelope::from_json(&newer.to_json()), Err(EnvelopeError::Version { found: 3 })));
    }

    #[test]
    fn it_is_on_the_partition_of_the_users_pushes() {
        let user = OpenId::new("oUSER");
        assert_eq!(sent().partition(64), Partition::of("wx1", &user, 64));
    }
}
