//! The texts that the cipher keeps and those that it refuses.
#![allow(missing_docs, clippy::unwrap_used)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kefu_wechat::cipher::{CipherError, EncodingAesKey, KeyError};
use proptest::prelude::*;

const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

fn key() -> EncodingAesKey {
    EncodingAesKey::parse(KEY).unwrap()
}

proptest! {
    #[test]
    fn what_was_encrypted_opens_again(message in ".{0,300}", appid in "wx[0-9a-f]{16}", random: [u8; 16]) {
        let encrypted = key().encrypt(&message, &appid, random);
        prop_assert_eq!(key().decrypt(&encrypted, &appid), Ok(message));
    }

    #[test]
    fn no_ciphertext_makes_it_panic(text in "[A-Za-z0-9+/=]{0,200}", bytes: Vec<u8>) {
        key().decrypt(&text, "wx1").ok();
        prop_assert!(key().decrypt(&STANDARD.encode(bytes), "wx1").is_err());
    }

    #[test]
    fn any_alphanumeric_key_of_43_characters_is_taken(text in "[A-Za-z0-9]{43}") {
        prop_assert!(EncodingAesKey::parse(&text).is_ok());
    }
}

#[test]
fn a_key_of_another_length_or_alphabet_is_refused() {
    assert_eq!(EncodingAesKey::parse(&KEY[..42]).unwrap_err(), KeyError::Length(42));
    assert_eq!(EncodingAesKey::parse(&format!("{}!", &KEY[..42])).unwrap_err(), KeyError::Alphabet);
    assert_eq!(EncodingAesKey::parse(&format!("{}=", &KEY[..42])).unwrap_err(), KeyError::Alphabet);
}

#[test]
fn another_appid_is_refused() {
    let encrypted = key().encrypt("hello", "wx1111111111111111", [7; 16]);
    assert_eq!(key().decrypt(&encrypted, "wx2222222222222222"), Err(CipherError::AppId));
}

#[test]
fn cut_or_odd_ciphertexts_are_refused() {
    let encrypted = key().encrypt("hello", "wx1", [7; 16]);
    let bytes = STANDARD.decode(&encrypted).unwrap();
    assert_eq!(key().decrypt("", "wx1"), Err(CipherError::Length));
    assert_eq!(key().decrypt("not base64!", "wx1"), Err(CipherError::NotBase64));
    assert_eq!(key().decrypt(&STANDARD.encode(&bytes[..bytes.len() - 1]), "wx1"), Err(CipherError::Length));
    assert!(key().decrypt(&STANDARD.encode(&bytes[..bytes.len() - 16]), "wx1").is_err());
}

#[test]
fn the_key_does_not_show_in_debug() {
    assert_eq!(format!("{:?}", key()), "EncodingAesKey([REDACTED])");
}
