//! The shapes of `/v1`: kefu reads and writes them, and the OpenAPI document describes them.

use kefu_messages::reply::Reply;
use kefu_store::Progress;
use kefu_wechat::openid::OpenId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// A message to a user: its replies are sent in this order, in turn with the replies to what the user writes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendRequest {
    /// The user's openid.
    #[schema(value_type = String, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_-]+$", examples("o9AgO5Kd5ggOC-bXrbNODIiE3bGY"))]
    pub(crate) to: OpenId,
    /// As in a rule. At most as many as WeChat takes after a user's message, 5 by default; a text of more than 2000 bytes is
    /// sent in parts, which count.
    #[schema(value_type = Vec<ReplyShape>, min_items = 1)]
    pub(crate) replies: Vec<Reply>,
    /// `businessid` of the sub-merchant in whose name is sent; only for accounts that have such.
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

/// Exactly one of `text`, `image`, `link` and `miniprogrampage`, and who speaks.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Reply)]
#[expect(dead_code, reason = "describes kefu_messages::reply::Reply")]
pub(crate) enum ReplyShape {
    Text(TextReply),
    Image(ImageReply),
    Link(LinkReply),
    Miniprogrampage(CardReply),
}

/// Declares the description of a reply, with the fields that all replies have.
macro_rules! reply_shape {
    ($(#[$about:meta])+ $name:ident { $(#[$field_about:meta])+ $field:ident: $shape:ty }) => {
        $(#[$about])+
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "describes kefu_messages::reply::Reply")]
        pub(crate) struct $name {
            $(#[$field_about])+
            $field: $shape,
            /// The customer service account that it is shown to come from.
            #[schema(required = false)]
            kf_account: String,
            /// Whether WeChat marks it as made by an AI.
            #[schema(required = false)]
            is_ai_msg: bool,
        }
    };
}

reply_shape! {
    /// A text.
    TextReply {
        /// Not blank; sent as it is, but for control characters other than line breaks and tabs, which are left out; in parts
        /// of at most 2000 bytes of UTF-8.
        #[schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]", examples("您的订单已发货"))]
        text: String
    }
}

reply_shape! {
    /// A picture.
    ImageReply {
        /// A PNG, JPEG or GIF file in the folder of kefu's configuration, by its path from there; the same file must be
        /// with ingress and with the workers.
        #[schema(min_length = 1, examples("images/service_code.png"))]
        image: String
    }
}

reply_shape! {
    /// A link with a title, a description and a thumbnail.
    LinkReply {
        /// All four fields are needed.
        link: LinkShape
    }
}

reply_shape! {
    /// A card that opens a page of a mini program.
    CardReply {
        /// All fields but `appid` are needed.
        miniprogrampage: CardShape
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Link)]
#[expect(dead_code, reason = "describes kefu_messages::reply::Link")]
pub(crate) struct LinkShape {
    /// The bold line.
    #[schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]")]
    title: String,
    /// The text below it.
    #[schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]")]
    description: String,
    /// Where a tap leads.
    #[schema(pattern = r"^https?://\S+$", examples("https://shop.example/orders"))]
    url: String,
    /// A JPEG or PNG.
    #[schema(pattern = r"^https?://\S+$", examples("https://shop.example/order.png"))]
    thumb_url: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Card)]
#[expect(dead_code, reason = "describes kefu_messages::reply::Card")]
pub(crate) struct CardShape {
    /// The title.
    #[schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]")]
    title: String,
    /// A page of the mini program's app.json, with a query if need be.
    #[schema(min_length = 1, pattern = r"[^\s\x00-\x1f\x7f]", examples("pages/order?id=1"))]
    pagepath: String,
    /// The mini program to open; the sending account itself when left out.
    #[schema(required = false)]
    appid: String,
    /// The cover: a picture file as for an `image`.
    #[schema(min_length = 1, examples("images/shop.png"))]
    thumb: String,
}

/// A message was accepted: it is stored, and will be sent once.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Names the message.
    #[schema(pattern = "^[0-9a-f]{32}$", examples("6d0f5a1c2b3e4d5f60718293a4b5c6d7"))]
    pub(crate) id: String,
    /// `queued`, or how far it is if it was accepted before.
    pub(crate) status: Status,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It waits for its turn, or for another try.
    Queued,
    /// WeChat has taken all of its replies.
    Sent,
    /// It will not be tried again by itself; `kefu dead replay` does.
    Dead,
}

/// What became of a message. Times are milliseconds since the Unix epoch.
#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    /// Names the message.
    #[schema(pattern = "^[0-9a-f]{32}$", examples("6d0f5a1c2b3e4d5f60718293a4b5c6d7"))]
    id: String,
    /// How far it is.
    status: Status,
    /// When it was accepted.
    accepted_at_ms: u64,
    /// When it was sent, or given up.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at_ms: Option<u64>,
    /// Of a dead one: `refused`, `window_closed`, `exhausted`, `unknown_account`, `crashed` or another word.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of a dead one: what was in the way, in words.
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
