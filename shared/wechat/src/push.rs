//! The content of a push: XML or JSON, told apart by the first character.

use serde::{Deserialize, Serialize};

use crate::openid::OpenId;

mod ciphertexts;
mod fields;
mod json;
mod text;
mod xml;

pub use ciphertexts::ciphertexts;
pub use fields::Fields;

/// The data format of a push, and so of its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `<xml>…</xml>`
    Xml,
    /// `{…}`
    Json,
}

/// One push, verified, decrypted and parsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// XML or JSON.
    pub format: Format,
    /// `ToUserName`: the mini program's original id (`gh_…`); some pushes carry an appid there.
    pub to_user: String,
    /// `FromUserName`: the user's openid; for many events an account of the platform; empty for notices to third-party
    /// platforms.
    pub from_user: OpenId,
    /// `CreateTime`: seconds since the Unix epoch, up to the year 9999; 0 when absent or no such time.
    pub create_time: i64,
    /// `MsgId`, for messages of users only. Not always a number, and beyond what a float can hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg_id: Option<String>,
    /// `BusinessId`: the sub-merchant whose session it is. Replies to the session name the sub-merchant too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_id: Option<u64>,
    /// `MsgType` as WeChat sent it: `text`, `image`, `miniprogrampage`, `event` or anything else; the `InfoType` of a
    /// notice to a third-party platform.
    pub msg_type: String,
    /// The fields of the type.
    pub content: Content,
    /// All top-level fields, including those without a field here.
    #[serde(skip)]
    pub fields: Fields,
}

/// The fields of the types of customer service messages.
///
/// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html>. A field
/// that a push leaves out is empty.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// A user's text.
    Text {
        /// `Content`.
        content: String,
    },
    /// A user's picture.
    Image {
        /// `PicUrl`: made by WeChat.
        pic_url: String,
        /// `MediaId`: valid for 3 days.
        media_id: String,
    },
    /// A user's mini program card.
    Miniprogrampage {
        /// `Title`.
        title: String,
        /// `AppId` of the card.
        app_id: String,
        /// `PagePath`.
        page_path: String,
        /// `ThumbUrl`: a temporary link; may be empty.
        thumb_url: String,
        /// `ThumbMediaId`; may be empty.
        thumb_media_id: String,
    },
    /// An event.
    Event {
        /// `Event`, for example `user_enter_tempsession`.
        event: String,
        /// `SessionFrom` of `user_enter_tempsession`: the value of the contact button, up to 1,024 characters.
        session_from: String,
    },
    /// Any other type; its text is in the envelope's `raw`.
    Other,
}

/// Why a text is no push. The error's text repeats nothing of the push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Nothing but white space.
    #[error("the body is empty")]
    Empty,
    /// None of `<`, `{` and `[` at the start.
    #[error("the body is neither XML nor JSON")]
    UnknownFormat,
    /// `[` at the start.
    #[error("the body is not a JSON object, but begins as a JSON array")]
    Array,
    /// The body has `Encrypt` in the place of the fields that a push needs.
    #[error("the push is encrypted: set the account's mode to that of WeChat's console")]
    Encrypted,
    /// Not well-formed.
    #[error("the body is not well-formed {format}: {reason}")]
    Malformed {
        /// The format that was expected.
        format: &'static str,
        /// What is wrong, and at which byte.
        reason: String,
    },
    /// A document type declaration: the parser refuses it, and never expands it.
    #[error("the body has a DOCTYPE")]
    Doctype,
    /// The body is nested deeper than any push.
    #[error("the body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A field that a push needs.
    #[error("the push has no {0}")]
    Missing(&'static str),
    /// More top-level fields than any push has.
    #[error("the body has more than {MAX_FIELDS} fields")]
    TooManyFields,
}

/// How deep a push may be nested. WeChat's documented pushes have at most 5 levels.
pub const MAX_DEPTH: usize = 64;

/// How many top-level fields a push may have; each element of a repeated field counts. WeChat's documented pushes have at
/// most 30 fields.
pub const MAX_FIELDS: usize = 256;

/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// The outermost form of a body: the plain fields of the push, its `Encrypt`, or (in compat mode) both.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// XML or JSON.
    pub format: Format,
    /// The top-level fields of the body.
    pub fields: Fields,
}

type Parser = fn(&str) -> Result<Fields, PushError>;

impl Body {
    /// Reads a body, whatever its Content-Type says: the first character decides. Blanks, byte order marks before the body
    /// and NULs behind it are no part of the body.
    ///
    /// A fault within a text is mended and not refused, because a refusal loses a message. Escapes and references that
    /// stand for no character become U+FFFD, and a user's text that ends its CDATA section is read as WeChat meant it.
    ///
    /// # Errors
    /// If the body is neither XML nor JSON, or is ill-formed in its format.
    pub fn parse(text: &str) -> Result<Self, PushError> {
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        Self::read(text.trim_end_matches(|c: char| c.is_whitespace() || c == '\0'), xml::parse, json::parse)
    }

    /// As [`Body::parse`], but mends nothing: for answers to WeChat.
    ///
    /// # Errors
    /// Also if the body is not well-formed.
    pub fn parse_strictly(text: &str) -> Result<Self, PushError> {
        Self::read(text.trim(), xml::parse_strictly, json::parse_strictly)
    }

    fn read(text: &str, xml: Parser, json: Parser) -> Result<Self, PushError> {
        let (format, fields) = match text.bytes().next() {
            None => return Err(PushError::Empty),
            Some(b'<') => (Format::Xml, xml(text)?),
            Some(b'{') => (Format::Json, json(text)?),
            Some(b'[') => return Err(PushError::Array),
            Some(_) => return Err(PushError::UnknownFormat),
        };
        Ok(Self { format, fields })
    }

    /// The ciphertext, if the body has one.
    pub fn encrypt(&self) -> Option<&str> {
        self.fields.text("Encrypt").filter(|text| !text.is_empty())
    }
}

impl Push {
    /// Reads the decrypted text of a push.
    pub fn parse(text: &str) -> Result<Self, PushError> {
        Self::from_body(Body::parse(text)?)
    }

    /// Takes the fields of a body as a push.
    pub fn from_body(Body { format, fields }: Body) -> Result<Self, PushError> {
        let text = |name: &str| fields.text(name).unwrap_or_default().to_owned();
        let required = |name: &'static str| match fields.text(name) {
            Some(value) if !value.trim().is_empty() => Ok(value.to_owned()),
            _ if fields.text("Encrypt").is_some() => Err(PushError::Encrypted),
            _ => Err(PushError::Missing(name)),
        };
        // A notice to a third-party platform has an InfoType in the place of a type, and no sender.
        let (from_user, msg_type) = match required("InfoType") {
            Ok(info_type) if fields.text("MsgType").is_none() => (String::new(), info_type),
            _ => (required("FromUserName")?, required("MsgType")?),
        };
        let from_user = OpenId::new(from_user);
        let is = |kind: &str| msg_type.eq_ignore_ascii_case(kind);
        let content = if is("text") {
            Content::Text { content: text("Content") }
        } else if is("event") {
            Content::Event { event: text("Event"), session_from: text("SessionFrom") }
        } else if is("image") {
            Content::Image { pic_url: text("PicUrl"), media_id: text("MediaId") }
        } else if is("miniprogrampage") {
            Content::Miniprogrampage {
                title: text("Title"),
                app_id: text("AppId"),
                page_path: text("PagePath"),
                thumb_url: text("ThumbUrl"),
                thumb_media_id: text("ThumbMediaId"),
            }
        } else {
            Content::Other
        };
        Ok(Self {
            format,
            to_user: text("ToUserName"),
            from_user,
            create_time: seconds(fields.text("CreateTime").unwrap_or_default()),
            msg_id: Some(text("MsgId")).filter(|msg_id| !msg_id.is_empty()),
            business_id: fields.text("BusinessId").and_then(|id| id.trim().parse().ok()),
            msg_type,
            content,
            fields,
        })
    }

    /// The name of the event, if the push is an event.
    pub fn event(&self) -> Option<&str> {
        match &self.content {
            Content::Event { event, .. } => Some(event),
            _ => None,
        }
    }
}

/// A time, written as a number in some pushes and as a string in others, even on one documentation page. An unreadable time
/// is 0: no use of the time is worth the loss of a message.
fn seconds(text: &str) -> i64 {
    let text = text.trim();
    let whole = text.parse().ok();
    // Saturates; a text that is no number becomes 0.
    let seconds = whole.or_else(|| text.parse::<f64>().ok().map(|seconds| seconds as i64));
    seconds.filter(|seconds| (0..=LAST_SECOND).contains(seconds)).unwrap_or(0)
}

/// Shows the kind only: users' texts must not reach a log.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { content } => write!(f, "Text({} characters)", content.chars().count()),
            Self::Image { .. } => f.write_str("Image"),
            Self::Miniprogrampage { .. } => f.write_str("Miniprogrampage"),
            Self::Event { event, .. } => write!(f, "Event({event})"),
            Self::Other => f.write_str("Other"),
        }
    }
}
