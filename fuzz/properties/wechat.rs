//! The properties that hold for any bytes that reach WeChat's protocol. The fuzz targets and the tests of kefu-wechat call
//! these functions. A property that does not hold ends the run, so an `expect` here is an assertion.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kefu_wechat::cipher::EncodingAesKey;
use kefu_wechat::json;
use kefu_wechat::push::{Push, ciphertexts};
use serde_json::Value;

/// The bytes are the text of a push, or the body of a request.
pub fn push(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);

    let found = ciphertexts(&text);
    assert!(found.len() <= 8 && found.is_sorted_by(|a, b| a.len() >= b.len()));
    for ciphertext in found {
        assert!(!ciphertext.is_empty());
        assert!(ciphertext.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)));
    }

    match Push::parse(&text) {
        Ok(push) => {
            assert!(!push.msg_type.trim().is_empty());
            assert!(push.create_time >= 0);
            // The JSON of the envelope carries every field of `Push` except `fields`.
            let json = serde_json::to_vec(&push).expect("a push becomes JSON");
            let mut read: Push = serde_json::from_slice(&json).expect("the JSON of a push is read again");
            read.fields = push.fields.clone();
            assert_eq!(read, push);
        }
        // kefu logs the error, so an error must not repeat a body of any length.
        Err(error) => assert!(error.to_string().len() < 300, "a long reason: {error}"),
    }
}

/// The bytes are the text of an `Encrypt`, a message to encrypt, or the content of a ciphertext.
pub fn decrypt(bytes: &[u8]) {
    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFE";
    const APPID: &str = "wx0123456789abcdef";
    const HEAD: usize = 20;
    let key = EncodingAesKey::parse(KEY).expect("the key is a key");

    let text = String::from_utf8_lossy(bytes);
    // kefu refuses nearly all of these ciphertexts; the property is that nothing panics.
    key.decrypt_bytes(&text, APPID).ok();
    assert_eq!(key.decrypt(&key.encrypt(&text, APPID, [7; 16]), APPID).as_deref(), Ok(&*text));

    // A ciphertext of exactly these bytes, with whatever framing and padding the bytes happen to have.
    let plain = &bytes[..bytes.len() - bytes.len() % 16];
    let raw = STANDARD.decode(format!("{KEY}=")).expect("the key is Base64");
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(&raw, &raw[..16]).expect("the key has 32 bytes");
    let encrypt = STANDARD.encode(cipher.encrypt_padded_vec::<NoPadding>(plain));
    if let Ok(message) = key.decrypt_bytes(&encrypt, APPID) {
        let end = HEAD + message.len();
        assert_eq!(plain[HEAD..end], message);
        assert!(plain[end..].starts_with(APPID.as_bytes()));
        let padding = plain.len() - end - APPID.len();
        assert!((1..=32).contains(&padding) && plain.last().map(|&byte| usize::from(byte)) == Some(padding));
    }
}

/// The bytes are JSON from somebody else, and may be ill-formed.
pub fn json(bytes: &[u8]) {
    let strict = serde_json::from_slice::<Value>(bytes);
    let read = json::from_slice::<Value>(bytes);
    if let Ok(strict) = &strict {
        assert_eq!(read.as_ref().ok(), Some(strict), "what needs no mending was changed");
    }
    if let Some(text) = json::mended(bytes) {
        assert_eq!(json::mended(text.as_bytes()).as_deref(), Some(&*text), "what was mended is mended again");
        if strict.is_err() {
            assert_eq!(read.ok(), serde_json::from_str::<Value>(&text).ok());
        }
    }
}
