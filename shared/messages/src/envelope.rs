//! The contract between the two services: the messages that ingress puts on the queue.

use std::borrow::Cow;

use kefu_runtime::{Cause, Class};
use kefu_wechat::json;
use kefu_wechat::openid::OpenId;
use kefu_wechat::push::{Content, Fields, Format, Push};
use serde::{Deserialize, Serialize};

use crate::message_key::MessageKey;
use crate::outbound::{self, Outbound};
use crate::partition::Partition;
use crate::unreadable::{self, Unreadable};

/// The version of a push's envelope with [`Envelope::raw`]. A reader accepts any envelope whose `v` it knows; a version only
/// gains fields.
pub const RAW_VERSION: u32 = 1;

/// The version of an envelope with [`Envelope::send`]: a reader that does not know `send` must not treat the envelope as a
/// push.
pub const SEND_VERSION: u32 = 2;

/// The version of an envelope with [`Envelope::unreadable`], for the same reason.
pub const UNREADABLE_VERSION: u32 = 3;

/// The version of a push's envelope without [`Envelope::raw`]. Most pushes say nothing that [`Envelope::push`] does not name:
/// a usual text takes 318 bytes in place of 732.
pub const CONCISE_VERSION: u32 = 4;

const VERSIONS: [u32; 4] = [RAW_VERSION, SEND_VERSION, UNREADABLE_VERSION, CONCISE_VERSION];

/// One push, or one message of a team's own backend, on its way to a worker, as JSON on the queue (`application/json`,
/// UTF-8).
///
/// The envelope is public: another program may consume the queue. A reader must ignore unknown fields.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`RAW_VERSION`] or [`CONCISE_VERSION`]; [`SEND_VERSION`] with [`Envelope::send`]; [`UNREADABLE_VERSION`] with
    /// [`Envelope::unreadable`].
    pub v: u32,
    /// Equal for two copies of the same push.
    pub key: MessageKey,
    /// The appid of the account whose callback URL was called.
    pub account: String,
    /// When ingress received the push or message: milliseconds since the Unix epoch.
    pub received_at_ms: u64,
    /// The push. With [`Envelope::send`] the push names the user, and says nothing. With [`Envelope::unreadable`] it does
    /// not even name a user.
    pub push: Push,
    /// The decrypted text as WeChat sent it, XML or JSON, including everything that [`Push`] does not name. Bytes that are
    /// not UTF-8 are U+FFFD here. Other faults that were mended for [`Push`] are not mended here. None if [`Push`] names
    /// everything; empty if there was no push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// What ingress did with the push in its answer to WeChat, if nothing else remained to do: then nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// W3C trace context of the request, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The message that a team's own backend sends to the user: there was no push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Outbound>,
    /// An authentic push that could not be read. Its user is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
}

/// How ingress answered a push that needs nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// With `transfer_customer_service`: the message is with the human agents.
    Transfer,
    /// With a webhook's decision.
    Webhook,
    /// In a way that only a newer ingress knows.
    #[serde(other)]
    Other,
}

/// A body on the queue that is no envelope of this version.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not the shape of an envelope. The text names the place, never the content.
    #[error("the body is not an envelope: {0}")]
    Malformed(#[source] Cause),
    /// Written by a newer kefu.
    #[error("the envelope has version {found}, this worker reads versions up to {CONCISE_VERSION}: update the workers")]
    Version {
        /// The version found.
        found: u32,
    },
}

impl EnvelopeError {
    /// What the caller can do.
    pub fn class(&self) -> Class {
        match self {
            Self::Malformed(_) => Class::Refused,
            // An upgrade replaces workers and ingress one after the other, so their versions differ for a while.
            Self::Version { .. } => Class::Transient,
        }
    }
}

/// Without the user's text.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope").field("key", &self.key).field("account", &self.account).finish_non_exhaustive()
    }
}

impl Envelope {
    /// The envelope of a push to the account `account`, not answered yet, without trace context.
    pub fn of_push(account: &str, push: Push, raw: String, received_at_ms: u64) -> Self {
        let key = MessageKey::of(account, &push);
        let (v, raw) = if push.names_everything() { (CONCISE_VERSION, None) } else { (RAW_VERSION, Some(raw)) };
        Self {
            v,
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

    /// The envelope of a message that a team's own backend sends to `user` of the account `account`, without trace context.
    /// The message goes the same way as the user's pushes, in turn with them.
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
            raw: Some(String::new()),
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
            raw: Some(String::new()),
            answered: None,
            traceparent: None,
            send: None,
            unreadable: Some(unreadable),
        }
    }

    /// Turns an envelope with an unreadable push into the envelope of the push, under the same key, if this version can
    /// read the bytes. Otherwise the envelope gets this version's reason. Other envelopes stay as they are.
    pub fn read_anew(&mut self) {
        let Some(unreadable) = self.unreadable.take() else { return };
        match unreadable::read(unreadable.bytes.0) {
            Ok((push, raw)) => (self.v, self.push, self.raw) = (RAW_VERSION, push, Some(raw)),
            Err((bytes, error)) => self.unreadable = Some(Unreadable::new(bytes, &error)),
        }
    }

    /// The partition of the user who sent the push, or who receives the message. Unreadable pushes, whose user is unknown,
    /// spread over all partitions by their key.
    pub fn partition(&self, count: u16) -> Partition {
        match self.unreadable {
            None => Partition::of(&self.account, &self.push.from_user, count),
            Some(_) => Partition::of(&self.account, &OpenId::new(self.key.as_str()), count),
        }
    }

    /// The partition for a replay of a dead letter: as [`Envelope::partition`]. An unreadable push that this version can
    /// read goes to the partition of its user, in turn with the user's other messages.
    pub fn partition_for_replay(&self, count: u16) -> Partition {
        if self.unreadable.is_none() {
            return self.partition(count);
        }
        let mut anew = self.clone();
        anew.read_anew();
        anew.partition(count)
    }

    /// [`Envelope::raw`], or a text in its place that says the same.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.raw {
            Some(raw) => raw.into(),
            None => self.push.to_text().into(),
        }
    }

    /// The JSON text with `raw`, in any case.
    pub fn to_json_with_raw(&self) -> Vec<u8> {
        match self.raw {
            Some(_) => self.to_json(),
            None => Self { v: RAW_VERSION, raw: Some(self.push.to_text()), ..self.clone() }.to_json(),
        }
    }

    /// The JSON text.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and string-keyed maps only: serialising them cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads an envelope that [`Envelope::to_json`] wrote.
    pub fn from_json(body: &[u8]) -> Result<Self, EnvelopeError> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let malformed = |error| EnvelopeError::Malformed(json::mistake(&error).into());
        let read: Result<Self, _> = serde_json::from_slice(body);
        let v = match &read {
            Ok(envelope) => envelope.v,
            // A newer envelope may have another shape.
            Err(_) => serde_json::from_slice::<Versioned>(body).map_err(malformed)?.v,
        };
        if !VERSIONS.contains(&v) {
            return Err(EnvelopeError::Version { found: v });
        }
        let envelope = read.map_err(malformed)?;
        let fields = [
            (v == SEND_VERSION, "send", envelope.send.is_some()),
            (v == UNREADABLE_VERSION, "unreadable", envelope.unreadable.is_some()),
            (v != CONCISE_VERSION, "raw", envelope.raw.is_some()),
        ];
        for (expected, field, there) in fields {
            if there != expected {
                let has = if there { "with" } else { "without" };
                return Err(EnvelopeError::Malformed(format!("version {v} {has} the field {field}").into()));
            }
        }
        Ok(envelope)
    }
}

/// The push of an envelope without a push: it has only the user, and the session's sub-merchant.
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
