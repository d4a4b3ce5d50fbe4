//! A push as an HTTP request.

use std::time::{SystemTime, UNIX_EPOCH};

use super::account::random_text;
use super::{Account, Format, Message, Mode, Value, cipher, field, signature};

/// A signed request. All of it may be altered before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRequest {
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The header, if there is one.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl PushRequest {
    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// Sets a parameter in its place, or adds it.
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        match self.query.iter_mut().find(|(of, _)| of == name) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.query.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Leaves a parameter out.
    pub fn without_parameter(mut self, name: &str) -> Self {
        self.query.retain(|(of, _)| of != name);
        self
    }

    /// Puts another body in the place of the signed one.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl Account {
    /// What WeChat sends for a message in the account's mode, now and with a new nonce, as in every first push.
    pub fn push(&self, format: Format, message: &Message) -> PushRequest {
        self.push_bytes(format, message.to_text(format).as_bytes(), Some(message))
    }

    /// The same for bytes that need not be a message, nor a text. In compat mode it is nothing but the encrypted half.
    pub fn push_raw(&self, format: Format, bytes: &(impl AsRef<[u8]> + ?Sized)) -> PushRequest {
        self.push_bytes(format, bytes.as_ref(), None)
    }

    fn push_bytes(&self, format: Format, bytes: &[u8], message: Option<&Message>) -> PushRequest {
        if self.mode == Mode::Plain {
            return PushRequest { query: self.query(), content_type: Some(content_type(format)), body: bytes.into() };
        }
        let random = random_text(16).into_bytes().try_into().expect("16 letters");
        let encrypt = cipher::encrypt(&self.encoding_aes_key, &random, bytes, &self.appid);
        self.push_encrypted(format, &encrypt, message.filter(|_| self.mode == Mode::Compat), message)
    }

    /// A push with this `Encrypt` field, rightly signed whatever is in it, beside the fields of `plain`, if any.
    pub fn push_ciphertext(&self, format: Format, encrypt: &str) -> PushRequest {
        self.push_encrypted(format, encrypt, None, None)
    }

    fn push_encrypted(
        &self,
        format: Format,
        encrypt: &str,
        plain: Option<&Message>,
        message: Option<&Message>,
    ) -> PushRequest {
        let body = plain
            .cloned()
            .unwrap_or_else(|| Message::empty().text_field("ToUserName", Message::TO_USER))
            .with("Encrypt", Value::Text(encrypt.to_owned()))
            .to_text(format);
        let mut query = self.query();
        let value = |name: &str| query.iter().find(|(of, _)| of == name).map(|(_, v)| v.clone()).unwrap_or_default();
        let msg_signature = signature(&[&self.token, &value("timestamp"), &value("nonce"), encrypt]);
        let openid = message.and_then(|message| message.field("FromUserName")).unwrap_or_default();
        query.extend(
            [("openid", openid), ("encrypt_type", "aes"), ("msg_signature", &msg_signature)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        PushRequest { query, content_type: Some(content_type(format)), body: body.into() }
    }

    /// The query of the URL verification: a signature over Token, timestamp and nonce, and the text to echo.
    pub fn verification(&self, echostr: &str) -> PushRequest {
        let request = PushRequest { query: self.query(), content_type: None, body: Vec::new() };
        request.with_parameter("echostr", echostr)
    }

    /// The same request, rightly signed at another time: a number of seconds, or whatever it is to be.
    pub fn signed_at(&self, request: PushRequest, timestamp: &str) -> PushRequest {
        let nonce = request.parameter("nonce").expect("requests have a nonce").to_owned();
        let signed = request
            .with_parameter("timestamp", timestamp)
            .with_parameter("signature", &signature(&[&self.token, timestamp, &nonce]));
        let encrypt = field(&String::from_utf8_lossy(&signed.body), "Encrypt");
        match encrypt.filter(|_| self.mode != Mode::Plain) {
            Some(encrypt) => {
                let msg_signature = signature(&[&self.token, timestamp, &nonce, &encrypt]);
                signed.with_parameter("msg_signature", &msg_signature)
            }
            None => signed,
        }
    }

    fn query(&self) -> Vec<(String, String)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let (timestamp, nonce) = (now.to_string(), rand::random_range(100_000_000_u32..2_000_000_000).to_string());
        let signature = signature(&[&self.token, &timestamp, &nonce]);
        [("signature", signature), ("timestamp", timestamp), ("nonce", nonce)].map(|(n, v)| (n.to_owned(), v)).into()
    }
}

fn content_type(format: Format) -> String {
    match format {
        Format::Xml => "text/xml".to_owned(),
        Format::Json => "application/json".to_owned(),
    }
}
