//! One push as WeChat would send it: pure functions without a clock, random numbers or a network.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use kefu_wechat::cipher::{EncodingAesKey, KeyError};
use kefu_wechat::push::Format;
use kefu_wechat::signature;
use serde::{Deserialize, Serialize};

use crate::config::{Mode, SimulatedAccount};
use crate::message::{Message, MsgId};

mod fields;
#[cfg(test)]
mod tests;

use fields::PushFields;

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
            if *mode == Mode::Compat {
                with_encrypt(text, &encrypt, *format)
            } else {
                let mut fields = PushFields::default();
                fields.text("ToUserName", &account.raw_id);
                fields.text("Encrypt", &encrypt);
                fields.write(*format, self.cdata)
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
        let account = &self.account;
        let mut fields = PushFields::default();
        fields.text("ToUserName", &account.raw_id);
        fields.text("FromUserName", &self.user);
        fields.number("CreateTime", self.create_time);
        fields.text("MsgType", self.message.msg_type());
        match &self.message {
            Message::Raw { text } => return text.clone(),
            Message::Text { content } => fields.text("Content", content),
            Message::Image { pic_url, media_id } => {
                fields.text("PicUrl", pic_url);
                fields.text("MediaId", media_id);
            }
            Message::Miniprogrampage { title, app_id, page_path, thumb_url, thumb_media_id } => {
                fields.text("Title", title);
                fields.text("AppId", if app_id.is_empty() { &account.appid } else { app_id });
                fields.text("PagePath", page_path);
                fields.text("ThumbUrl", thumb_url);
                fields.text("ThumbMediaId", thumb_media_id);
            }
            Message::Enter { session_from } => {
                fields.text("Event", "user_enter_tempsession");
                fields.text("SessionFrom", session_from);
            }
            Message::Event { event, fields: further } => {
                fields.text("Event", event);
                fields.extend(further);
            }
            Message::Other { fields: further, .. } => fields.extend(further),
        }
        match &self.msg_id {
            Some(MsgId::Number(number)) => fields.number("MsgId", *number),
            Some(MsgId::Text(text)) => fields.text("MsgId", text),
            None => {}
        }
        fields.write(self.format, self.cdata)
    }
}

impl SignedRequest {
    /// The callback URL with the query parameters added and percent-encoded.
    pub fn url(&self, callback_url: &str) -> String {
        with_query(callback_url, &self.query)
    }
}

/// A URL with further parameters.
pub(crate) fn with_query(url: &str, query: &[(&'static str, String)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{}", pairs.join("&"))
}

fn percent_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}
