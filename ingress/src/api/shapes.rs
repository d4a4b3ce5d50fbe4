//! The shapes of `/v1`: kefu reads and writes them, and the OpenAPI document describes them.

use kefu_messages::reply::Reply;
use kefu_store::Progress;
use kefu_wechat::openid::OpenId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// A message to a user. kefu sends its replies in this order, after the replies to the user's earlier messages.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendRequest {
    /// The user's openid.
    #[schema(value_type = String, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_-]+$", examples("o9AgO5Kd5ggOC-bXrbNODIiE3bGY"))]
    pub(crate) to: OpenId,
    /// The replies, in the shapes of a rule. WeChat takes 5 after a user's message, unless kefu's configuration says
    /// otherwise. Each part of a long text counts.
    #[schema(min_items = 1)]
    pub(crate) replies: Vec<Reply>,
    /// The `businessid` of the sub-merchant in whose name kefu sends; only for accounts with sub-merchants.
    #[schema(nullable = false, minimum = 0, maximum = 9007199254740991_i64)]
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "whole_number")]
    pub(crate) business_id: Option<u64>,
}

/// A number without a fraction, in any notation: JSON Schema counts `1.0` as an integer, too.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=u64::MAX as f64).contains(float));
    let whole = number.as_u64().or_else(|| float().map(|float| float as u64));
    whole.map(Some).ok_or_else(|| D::Error::custom("must be a whole number, not below 0"))
}

/// An accepted message. kefu has stored the message, and will send it once.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The id of the message.
    #[schema(pattern = "^[0-9a-f]{32}$", examples("6d0f5a1c2b3e4d5f60718293a4b5c6d7"))]
    pub(crate) id: String,
    /// `queued`; the present state if kefu accepted the message before.
    pub(crate) status: Status,
}

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The message waits for its turn, or for another try.
    Queued,
    /// WeChat has taken all replies of the message.
    Sent,
    /// kefu does not try the message again by itself. `kefu dead replay` tries it again.
    Dead,
}

/// A message and its state. Times are milliseconds since the Unix epoch.
#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    /// The id of the message.
    #[schema(pattern = "^[0-9a-f]{32}$", examples("6d0f5a1c2b3e4d5f60718293a4b5c6d7"))]
    id: String,
    /// The state.
    status: Status,
    /// When kefu accepted the message.
    accepted_at_ms: u64,
    /// When the message was sent, or died.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at_ms: Option<u64>,
    /// Why the message is dead: `refused`, `window_closed`, `exhausted`, `unknown_account`, `crashed` or another word.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why the message is dead, in words.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<&Progress> for Status {
    fn from(progress: &Progress) -> Self {
        match progress {
            Progress::Queued { .. } => Self::Queued,
            Progress::Sent { .. } => Self::Sent,
            Progress::Dead { .. } => Self::Dead,
        }
    }
}

impl Message {
    pub(crate) fn new(id: String, progress: Progress) -> Self {
        let status = Status::from(&progress);
        let (accepted_at_ms, ended_at_ms, reason, error) = match progress {
            Progress::Queued { accepted_at_ms } => (accepted_at_ms, None, None, None),
            Progress::Sent { accepted_at_ms, ended_at_ms } => (accepted_at_ms, Some(ended_at_ms), None, None),
            Progress::Dead { accepted_at_ms, ended_at_ms, reason, error } => {
                (accepted_at_ms, Some(ended_at_ms), Some(reason), Some(error))
            }
        };
        Self { id, status, accepted_at_ms, ended_at_ms, reason, error }
    }
}
