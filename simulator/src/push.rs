//! One push as WeChat would send it: pure functions, without clock, chance or network.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use kefu_wechat::cipher::EncodingAesKey;
use kefu_wechat::push::Format;
use kefu_wechat::signature;
use serde::{Deserialize, Serialize};

use crate::config::{Mode, SimulatedAccount};
use crate::message::{Message, MsgId};

mod fields;
#[cfg(test)]
mod tests;

use fields::PushFields;

/// What one push says.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// `FromUserName`.
    pub user: String,
    /// `CreateTime`, in seconds since the Unix epoch.
    pub create_time: i64,
    /// `MsgId`.
    pub msg_id: Option<MsgId>,
    /// What the user does.
    pub message: Message,
    /// How texts stand in XML.
    pub cdata: Cdata,
}

/// What becomes of a text in XML that holds `]]>`, which ends its CDATA section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cdata {
    /// It is split over two sections, and the XML is well-formed.
    #[default]
    Split,
    /// Nothing: the XML may be ill-formed, or say something else. Users' reports show such pushes of WeChat.
    AsItIs,
}

/// An HTTP POST, ready but for the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The query parameters, not yet percent-encoded.
    pub query: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// Its Content-Type. What WeChat sends is undocumented.
    pub content_type: &'static str,
}

/// Why a push cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Compat and safe mode encrypt.
    #[error("compat and safe mode need an EncodingAESKey, and the account has none")]
    NoKey,
    /// The EncodingAESKey is none.
    #[error(transparent)]
    Key(#[from] kefu_wechat::cipher::KeyError),
}

/// Signs and, where `mode` asks for it, encrypts a push. `random` must be fresh for each.
///
/// # Errors
/// If the mode needs a key and the account has no usable one.
pub fn build_request(
    account: &SimulatedAccount,
    push: &Push,
    format: Format,
    mode: Mode,
    timestamp: i64,
    nonce: &str,
    random: [u8; 16],
) -> Result<SignedRequest, BuildError> {
    let text = push.text(account, format);
    let timestamp = timestamp.to_string();
    let mut query = vec![
        ("signature", signature::sign(&account.token, &timestamp, nonce)),
        ("timestamp", timestamp.clone()),
        ("nonce", nonce.to_owned()),
        ("openid", push.user.clone()),
    ];
    let body = match mode {
        Mode::Plain => text,
        Mode::Compat | Mode::Safe => {
            let encrypt = key(account)?.encrypt(&text, &account.appid, random);
            query.push(("encrypt_type", "aes".to_owned()));
            query.push(("msg_signature", signature::sign_encrypted(&account.token, &timestamp, nonce, &encrypt)));
            match mode {
                Mode::Compat => with_encrypt(text, &encrypt, format),
                _ => {
                    let mut fields = PushFields::default();
                    fields.text("ToUserName", &account.raw_id);
                    fields.text("Encrypt", &encrypt);
                    fields.write(format, push.cdata)
                }
            }
        }
    };
    let content_type = match format {
        Format::Xml => "text/xml",
        Format::Json => "application/json",
    };
    Ok(SignedRequest { query, body, content_type })
}

fn key(account: &SimulatedAccount) -> Result<EncodingAesKey, BuildError> {
    account.key()?.ok_or(BuildError::NoKey)
}

/// Compat mode's body: the fields in clear with `Encrypt` after them. A raw text without an end gets one.
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
    /// Whether it is the event of this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(&self.message, Message::Event { event, .. } if event.eq_ignore_ascii_case(name))
    }

    /// The decrypted body.
    pub fn text(&self, account: &SimulatedAccount, format: Format) -> String {
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
        fields.write(format, self.cdata)
    }
}

impl SignedRequest {
    /// The callback URL with the query parameters added, percent-encoded.
    pub fn url(&self, callback_url: &str) -> String {
        with_query(callback_url, &self.query)
    }
}

/// A URL with parameters added to those it may have.
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
