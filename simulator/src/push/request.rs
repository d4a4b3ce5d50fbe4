//! One push as WeChat would send it: pure functions without a clock, random numbers or a network.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use indexmap::IndexMap;
use kefu_wechat::cipher::{EncodingAesKey, KeyError};
use kefu_wechat::push::Format;
use kefu_wechat::signature;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{Mode, SimulatedAccount};
use crate::message::{Message, MsgId};

/// One push of an account, and its format and mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The account that gets the push.
    pub account: SimulatedAccount,
    /// `FromUserName`.
    pub user: String,
    /// `CreateTime`, in seconds since the Unix epoch.
    pub create_time: i64,
    /// `MsgId`.
    pub msg_id: Option<MsgId>,
    /// The user's action.
    pub message: Message,
    /// How texts appear in XML.
    pub cdata: Cdata,
    /// XML or JSON.
    pub format: Format,
    /// Plain, compat or safe.
    pub mode: Mode,
}

/// How the simulator writes a text in XML that holds `]]>`, which ends a CDATA section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cdata {
    /// The text is split over two sections, so that the XML is well-formed.
    #[default]
    Split,
    /// The text stays unchanged: the XML may be ill-formed, or say something else. Users' reports show such pushes of
    /// WeChat.
    AsItIs,
}

/// An HTTP POST without its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The query parameters, not yet percent-encoded.
    pub query: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The Content-Type of the body. WeChat does not document its own Content-Type.
    pub content_type: &'static str,
}

/// Why the simulator cannot build a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Compat and safe mode encrypt, and the account has no EncodingAESKey.
    #[error("compat and safe mode need an EncodingAESKey, and the account has none")]
    NoKey,
    /// The EncodingAESKey is malformed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Push {
    /// Signs the push and, where the mode demands it, encrypts the push. `random` must be fresh for each call.
    ///
    /// # Errors
    /// The mode needs a key, and the account has no usable key.
    pub fn build(&self, timestamp: i64, nonce: &str, random: [u8; 16]) -> Result<SignedRequest, BuildError> {
        let Self { account, format, mode, .. } = self;
        let text = self.text();
        let timestamp = timestamp.to_string();
        let mut query = vec![
            ("signature", signature::sign(&account.token, &timestamp, nonce)),
            ("timestamp", timestamp.clone()),
            ("nonce", nonce.to_owned()),
            ("openid", self.user.clone()),
        ];
        let body = if *mode == Mode::Plain {
            text
        } else {
            let encrypt = self.key()?.encrypt(&text, &account.appid, random);
            query.push(("encrypt_type", "aes".to_owned()));
            query.push(("msg_signature", signature::sign_encrypted(&account.token, &timestamp, nonce, &encrypt)));
            match mode {
                Mode::Compat => with_encrypt(text, &encrypt, *format),
                _ => self.write(&[("ToUserName", json!(account.raw_id)), ("Encrypt", json!(encrypt))].into()),
            }
        };
        let content_type = match format {
            Format::Xml => "text/xml",
            Format::Json => "application/json",
        };
        Ok(SignedRequest { query, body, content_type })
    }

    /// The key of compat and safe mode.
    pub(crate) fn key(&self) -> Result<EncodingAesKey, BuildError> {
        self.account.key()?.ok_or(BuildError::NoKey)
    }

    /// The decrypted body.
    pub fn text(&self) -> String {
        let mut fields = IndexMap::from([
            ("ToUserName", json!(self.account.raw_id)),
            ("FromUserName", json!(self.user)),
            ("CreateTime", json!(self.create_time)),
            ("MsgType", json!(self.message.msg_type())),
        ]);
        match &self.message {
            Message::Raw { text } => return text.clone(),
            Message::Text { content } => fields.extend([("Content", json!(content))]),
            Message::Image { pic_url, media_id } => {
                fields.extend([("PicUrl", json!(pic_url)), ("MediaId", json!(media_id))]);
            }
            Message::Miniprogrampage { title, app_id, page_path, thumb_url, thumb_media_id } => fields.extend([
                ("Title", json!(title)),
                ("AppId", json!(if app_id.is_empty() { &self.account.appid } else { app_id })),
                ("PagePath", json!(page_path)),
                ("ThumbUrl", json!(thumb_url)),
                ("ThumbMediaId", json!(thumb_media_id)),
            ]),
            Message::Enter { session_from } => {
                fields.extend([("Event", json!("user_enter_tempsession")), ("SessionFrom", json!(session_from))]);
            }
            Message::Event { event, .. } => fields.extend([("Event", json!(event))]),
            Message::Other { .. } => {}
        }
        if let Message::Event { fields: further, .. } | Message::Other { fields: further, .. } = &self.message {
            // A new field replaces a field of the same name, so that a caller can send another CreateTime.
            fields.extend(further.iter().map(|(name, value)| (name.as_str(), value.clone())));
        }
        if let Some(msg_id) = &self.msg_id {
            fields.entry("MsgId").or_insert(json!(msg_id));
        }
        self.write(&fields)
    }

    /// The fields in their order, in the push's format.
    fn write(&self, fields: &IndexMap<&str, Value>) -> String {
        match self.format {
            // Numbers, strings and their nesting can always be written as text.
            Format::Json => serde_json::to_string(fields).unwrap_or_default(),
            Format::Xml => {
                let elements: String = fields.iter().map(|(name, value)| element(name, value, self.cdata)).collect();
                format!("<xml>{elements}</xml>")
            }
        }
    }
}

/// Writes a text in CDATA and a number without CDATA. A list becomes one element for each entry.
fn element(name: &str, value: &Value, cdata: Cdata) -> String {
    let content = match value {
        Value::Array(entries) => return entries.iter().map(|entry| element(name, entry, cdata)).collect(),
        Value::Object(children) => children.iter().map(|(name, value)| element(name, value, cdata)).collect(),
        Value::String(text) if cdata == Cdata::AsItIs => format!("<![CDATA[{text}]]>"),
        Value::String(text) => format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>")),
        Value::Null => String::new(),
        scalar => scalar.to_string(),
    };
    format!("<{name}>{content}</{name}>")
}

/// The body in compat mode: the fields in clear with `Encrypt` after them. A raw text without an end gets an end.
fn with_encrypt(text: String, encrypt: &str, format: Format) -> String {
    let (end, addition) = match format {
        Format::Xml => ("</xml>", format!("<Encrypt><![CDATA[{encrypt}]]></Encrypt>")),
        Format::Json => ("}", format!(",\"Encrypt\":\"{encrypt}\"")),
    };
    match text.trim_end().strip_suffix(end) {
        Some(open) => format!("{open}{addition}{end}"),
        None => format!("{text}{addition}{end}"),
    }
}

#[cfg(test)]
mod tests;
