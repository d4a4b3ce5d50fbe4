//! Pushes that come from WeChat and cannot be read: kept whole, for a person or a later version.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use kefu_wechat::push::{Push, PushError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `msg_type` in an envelope where a push has its `MsgType`, and the second part of the message key.
pub const MSG_TYPE: &str = "kefu_unreadable";

/// The bytes in place of a push, and why they could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The decrypted bytes as WeChat sent them; in plain mode the body.
    pub bytes: Bytes,
    /// The parser's reason; it repeats nothing of the bytes.
    pub reason: String,
}

impl Unreadable {
    /// Takes the error result of [`read`].
    pub fn new(bytes: Vec<u8>, error: &PushError) -> Self {
        Self { bytes: Bytes(bytes), reason: error.to_string() }
    }
}

/// Bytes that need not be text; in JSON they are Base64 with padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// Shows the number of bytes only: the bytes may be a user's text.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

/// Writes the Base64.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(|_| de::Error::custom("not Base64"))
    }
}

/// Reads the decrypted bytes of a push: returns the push and its text, or the original bytes and why they are no push.
///
/// A sequence that is not UTF-8 becomes U+FFFD in the text: a lost character is better than a lost message. The text begins
/// without a byte order mark, so that readers of the envelope need not know of the mark.
pub fn read(bytes: Vec<u8>) -> Result<(Push, String), (Vec<u8>, PushError)> {
    match String::from_utf8(bytes) {
        Ok(text) => parse(text).map_err(|(text, error)| (text.into_bytes(), error)),
        Err(not_utf8) => {
            let text = String::from_utf8_lossy(not_utf8.as_bytes()).into_owned();
            parse(text).map_err(|(_, error)| (not_utf8.into_bytes(), error))
        }
    }
}

fn parse(text: String) -> Result<(Push, String), (String, PushError)> {
    match Push::parse(&text) {
        Ok(push) => {
            let raw = text.trim_start_matches('\u{feff}');
            let raw = if raw.len() == text.len() { text } else { raw.to_owned() };
            Ok((push, raw))
        }
        Err(error) => Err((text, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &[u8] = br#"{"FromUserName":"o","MsgType":"text","Content":"@"}"#;

    #[test]
    fn a_push_is_read_and_a_byte_that_is_not_utf_8_becomes_one_character() {
        let marked = [b"\xef\xbb\xbf".as_slice(), PUSH].concat();
        for bytes in [PUSH, &marked] {
            let (push, raw) = read(bytes.to_vec()).unwrap();
            assert_eq!((push.from_user.as_str(), raw.as_bytes()), ("o", PUSH));
        }
        let at = PUSH.iter().position(|byte| *byte == b'@').unwrap();
        let mut spoilt = PUSH.to_vec();
        spoilt[at] = 0xff;
        assert_eq!(read(spoilt).unwrap().1, String::from_utf8_lossy(PUSH).replace('@', "\u{fffd}"));
    }

    #[test]
    fn what_cannot_be_read_comes_back_byte_by_byte() {
        for bytes in [b"".as_slice(), b"\xff\xfe{", b"\xef\xbb\xbf<xml>\xff", b"<xml>", b"{}"] {
            let (back, _) = read(bytes.to_vec()).unwrap_err();
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn bytes_are_base64_in_json_and_nothing_of_them_is_in_debug() {
        let unreadable = Unreadable::new(b"\xffsecret\0".to_vec(), &PushError::UnknownFormat);
        let json = serde_json::to_string(&unreadable).unwrap();
        assert_eq!(json, r#"{"bytes":"/3NlY3JldAA=","reason":"the body is neither XML nor JSON"}"#);
        assert_eq!(serde_json::from_str::<Unreadable>(&json).unwrap(), unreadable);
        assert!(serde_json::from_str::<Unreadable>(r#"{"bytes":"*","reason":""}"#).is_err());
        assert!(!format!("{unreadable:?}").contains("secret"));
    }
}
