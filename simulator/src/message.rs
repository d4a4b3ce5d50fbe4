//! The messages and events of simulated users.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An action of a user, which WeChat reports in a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// The user writes.
    Text {
        /// `Content`.
        content: String,
    },
    /// The user sends a picture. Without `MediaId` the simulator makes up a picture, which media/get then returns.
    Image {
        /// `PicUrl`.
        #[serde(default)]
        pic_url: String,
        /// `MediaId`.
        #[serde(default)]
        media_id: String,
    },
    /// The user sends a mini program card.
    Miniprogrampage {
        /// `Title`.
        #[serde(default)]
        title: String,
        /// `AppId`; the account's own when empty.
        #[serde(default)]
        app_id: String,
        /// `PagePath`.
        #[serde(default)]
        page_path: String,
        /// `ThumbUrl`.
        #[serde(default)]
        thumb_url: String,
        /// `ThumbMediaId`.
        #[serde(default)]
        thumb_media_id: String,
    },
    /// The user enters the session: `user_enter_tempsession`.
    Enter {
        /// `SessionFrom`.
        #[serde(default)]
        session_from: String,
    },
    /// Any event.
    Event {
        /// `Event`.
        event: String,
        /// Further fields. Nested fields become nested XML.
        #[serde(default)]
        fields: Map<String, Value>,
    },
    /// Any other `MsgType`, for example `voice`.
    Other {
        /// `MsgType`.
        msg_type: String,
        /// Further fields.
        #[serde(default)]
        fields: Map<String, Value>,
    },
    /// A text that the simulator sends unchanged, well-formed or not: signed, and encrypted where the mode demands it.
    Raw {
        /// All of the decrypted body.
        text: String,
    },
}

/// `MsgId`: a number for pushes to a server, a text for pushes to cloud functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MsgId {
    /// A number, without quotes in JSON and without CDATA in XML.
    Number(u64),
    /// A text, with quotes in JSON and with CDATA in XML.
    Text(String),
}

impl std::fmt::Display for MsgId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Message {
    /// A text.
    pub fn text(content: impl Into<String>) -> Self {
        Self::Text { content: content.into() }
    }

    /// A picture that the simulator makes up.
    pub fn image() -> Self {
        Self::Image { pic_url: String::new(), media_id: String::new() }
    }

    /// Entering the session.
    pub fn enter(session_from: impl Into<String>) -> Self {
        Self::Enter { session_from: session_from.into() }
    }

    /// `MsgType`; empty for a raw text.
    pub fn msg_type(&self) -> &str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::Miniprogrampage { .. } => "miniprogrampage",
            Self::Enter { .. } | Self::Event { .. } => "event",
            Self::Other { msg_type, .. } => msg_type,
            Self::Raw { .. } => "",
        }
    }

    /// Whether WeChat gives the message a `MsgId`. Every message that a user writes has a `MsgId`, and an event never
    /// has one.
    pub fn has_msg_id(&self) -> bool {
        !matches!(self, Self::Enter { .. } | Self::Event { .. } | Self::Raw { .. })
    }
}
