//! What ingress answered, as WeChat reads it.

use std::time::Duration;

use serde_json::Value;

use super::{Account, Mode, cipher, signature};

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header, if there is one.
    pub content_type: Option<String>,
    /// The body.
    pub body: String,
    /// From the request's start to the body's end.
    pub duration: Duration,
}

/// Why an encrypted answer is none that WeChat would take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A field is missing.
    #[error("the answer has no {0}")]
    Missing(&'static str),
    /// `MsgSignature` is of something else.
    #[error("the answer's MsgSignature is wrong")]
    Signature,
    /// `Encrypt` cannot be read.
    #[error("the answer's Encrypt: {0}")]
    Cipher(&'static str),
    /// It is encrypted for somebody else.
    #[error("the answer is for the appid {0}")]
    Appid(String),
}

impl Answer {
    /// Whether WeChat takes the push as received, without more: status 200 and `success`, or nothing at all.
    pub fn is_success(&self) -> bool {
        self.status == 200 && matches!(self.body.as_str(), "success" | "")
    }

    /// The text of an encrypted answer in XML or JSON, its signature and appid checked.
    pub fn open(&self, account: &Account) -> Result<String, OpenError> {
        let field = |name| field(&self.body, name).ok_or(OpenError::Missing(name));
        let encrypt = field("Encrypt")?;
        let signed = signature(&[&account.token, &field("TimeStamp")?, &field("Nonce")?, &encrypt]);
        if signed != field("MsgSignature")? {
            return Err(OpenError::Signature);
        }
        let opened = cipher::decrypt(&account.encoding_aes_key, &encrypt).map_err(OpenError::Cipher)?;
        if opened.appid == account.appid { Ok(opened.message) } else { Err(OpenError::Appid(opened.appid)) }
    }

    /// What it says: opened where the account's mode encrypts, else as it came.
    pub fn said_to(&self, account: &Account) -> Result<String, OpenError> {
        if account.mode == Mode::Plain { Ok(self.body.clone()) } else { self.open(account) }
    }
}

/// A top-level field of an answer in XML or JSON, CDATA or not, string or number.
pub fn field(body: &str, name: &str) -> Option<String> {
    if let Ok(json) = serde_json::from_str::<Value>(body) {
        let value = json.get(name)?;
        return Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    let Some(value) = value.strip_prefix("<![CDATA[").and_then(|value| value.strip_suffix("]]>")) else {
        return Some(value.to_owned());
    };
    // What would end a section is spread over two.
    let sections: Vec<&str> = value.split("]]><![CDATA[").collect();
    assert!(!sections.iter().any(|section| section.contains("]]>")), "{name} breaks out of its section: {value}");
    Some(sections.concat())
}
