//! The contract between the two services: what ingress puts on the queue.

use kefu_wechat::openid::OpenId;
use kefu_wechat::push::{Content, Fields, Format, Push};
use serde::{Deserialize, Serialize};

use crate::message_key::MessageKey;
use crate::outbound::{self, Outbound};
use crate::partition::Partition;
use crate::unreadable::{self, Unreadable};

/// The version of a push's envelope. Readers take any envelope whose `v` they know; fields are only ever added.
pub const VERSION: u32 = 1;

/// The version of an envelope with [`Envelope::send`]: who does not know of that must not take it for a push.
pub const SEND_VERSION: u32 = 2;

/// The version of an envelope with [`Envelope::unreadable`], for the same reason.
pub const UNREADABLE_VERSION: u32 = 3;

/// One push, or one message of a team's own backend, on its way to a worker, as JSON on the queue (`application/json`,
/// UTF-8).
///
/// It is public: another program may consume the queue. Unknown fields must be ignored by readers.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`]; [`SEND_VERSION`] with [`Envelope::send`]; [`UNREADABLE_VERSION`] with [`Envelope::unreadable`].
    pub v: u32,
    /// What makes two pushes the same one.
    pub key: MessageKey,
    /// The appid of the account whose callback URL was called.
    pub account: String,
    /// When ingress received it: milliseconds since the Unix epoch.
    pub received_at_ms: u64,
    /// What the push says; with [`Envelope::send`] it names the user, and says nothing; with [`Envelope::unreadable`] it
    /// names nobody either.
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
    /// An authentic push that could not be read. The user is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
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
    #[error(
        "the envelope has version {found}, this worker reads versions up to {UNREADABLE_VERSION}: update the workers"
    )]
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
            unreadable: None,
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
            push: stand_in(outbound::MSG_TYPE, user, outbound.business_id, received_at_ms),
            raw: String::new(),
            answered: None,
            traceparent: None,
            send: Some(outbound),
            unreadable: None,
        }
    }

    /// The envelope of an authentic push to the account `account` that could not be read, without trace context.
    pub fn of_unreadable(account: &str, unreadable: Unreadable, received_at_ms: u64) -> Self {
        Self {
            v: UNREADABLE_VERSION,
            key: MessageKey::of_unreadable(account, &unreadable.bytes.0),
            account: account.to_owned(),
            received_at_ms,
            push: stand_in(unreadable::MSG_TYPE, OpenId::new(""), None, received_at_ms),
            raw: String::new(),
            answered: None,
            traceparent: None,
            send: None,
            unreadable: Some(unreadable),
        }
    }

    /// Turns an envelope whose push could not be read into the envelope of the push, under the same key, if this version
    /// can read the bytes; else the reason is this version's. Other envelopes stay as they are.
    pub fn read_anew(&mut self) {
        let Some(unreadable) = self.unreadable.take() else { return };
        match unreadable::read(unreadable.bytes.0) {
            Ok((push, raw)) => (self.v, self.push, self.raw) = (VERSION, push, raw),
            Err((bytes, error)) => self.unreadable = Some(Unreadable::new(bytes, &error)),
        }
    }

    /// The partition of the user who sent the push, or to whom is sent. Unreadable pushes, whose user is not known,
    /// spread over all partitions by their key.
    pub fn partition(&self, count: u16) -> Partition {
        match self.unreadable {
            None => Partition::of(&self.account, &self.push.from_user, count),
            Some(_) => Partition::of(&self.account, &OpenId::new(self.key.as_str()), count),
        }
    }

    /// The partition that a dead letter is replayed to: as [`Envelope::partition`], and for an unreadable push that this
    /// version can read the partition of its user, where it is in turn with the user's other messages.
    pub fn partition_for_replay(&self, count: u16) -> Partition {
        if self.unreadable.is_none() {
            return self.partition(count);
        }
        let mut anew = self.clone();
        anew.read_anew();
        anew.partition(count)
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
        if ![VERSION, SEND_VERSION, UNREADABLE_VERSION].contains(&v) {
            return Err(EnvelopeError::Version { found: v });
        }
        let envelope: Self = serde_json::from_slice(body).map_err(malformed)?;
        let fields = [
            (SEND_VERSION, "send", envelope.send.is_some()),
            (UNREADABLE_VERSION, "unreadable", envelope.unreadable.is_some()),
        ];
        for (version, field, there) in fields {
            if there != (v == version) {
                let has = if there { "with" } else { "without" };
                return Err(EnvelopeError::Malformed(format!("version {v} {has} the field {field}")));
            }
        }
        Ok(envelope)
    }
}

/// What stands in the envelope where a push is, when there is none: the user, and whose session it is.
fn stand_in(msg_type: &str, user: OpenId, business_id: Option<u64>, at_ms: u64) -> Push {
    Push {
        format: Format::Json,
        to_user: String::new(),
        from_user: user,
        create_time: i64::try_from(at_ms / 1_000).unwrap_or_default(),
        msg_id: None,
        business_id,
        msg_type: msg_type.to_owned(),
        content: Content::Other,
        fields: Fields::default(),
    }
}

#[cfg(test)]
mod tests;
