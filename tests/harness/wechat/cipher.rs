//! The encryption of pushes and of answers.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, Engine};

/// The padding fills up to this many bytes, twice the cipher's own block.
const BLOCK: usize = 32;

/// Encrypts what has been framed and padded, or, for tests of bad input, anything of a multiple of 16 bytes.
pub fn encrypt_raw(encoding_aes_key: &str, plaintext: &[u8]) -> String {
    let key = aes_key(encoding_aes_key);
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&key, &key[..16]).expect("32 bytes and 16 bytes");
    BASE64_STANDARD.encode(cipher.encrypt_padded_vec::<NoPadding>(plaintext))
}

/// `random` (16 bytes), the length of the message as a big-endian number of 4 bytes, the message, the appid.
pub fn frame(random: &[u8; 16], message: impl AsRef<[u8]>, appid: &str) -> Vec<u8> {
    let message = message.as_ref();
    let length = u32::try_from(message.len()).expect("messages are short").to_be_bytes();
    [&random[..], &length[..], message, appid.as_bytes()].concat()
}

/// Fills up to a multiple of 32 bytes with bytes that say how many they are: 1 to 32.
pub fn pad(mut framed: Vec<u8>) -> Vec<u8> {
    let missing = BLOCK - framed.len() % BLOCK;
    framed.resize(framed.len() + missing, u8::try_from(missing).expect("32 at most"));
    framed
}

/// The `Encrypt` field for a message.
pub fn encrypt(encoding_aes_key: &str, random: &[u8; 16], message: impl AsRef<[u8]>, appid: &str) -> String {
    encrypt_raw(encoding_aes_key, &pad(frame(random, message, appid)))
}

/// What an `Encrypt` field held.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The 16 bytes in front.
    pub random: Vec<u8>,
    /// The message.
    pub message: String,
    /// What follows it: the appid.
    pub appid: String,
}

/// Takes an `Encrypt` field apart; an error says which part of it is wrong.
pub fn decrypt(encoding_aes_key: &str, encrypt: &str) -> Result<Opened, &'static str> {
    let key = aes_key(encoding_aes_key);
    let ciphertext = BASE64_STANDARD.decode(encrypt).map_err(|_| "not base64")?;
    let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(&key, &key[..16]).expect("32 bytes and 16 bytes");
    let padded = cipher.decrypt_padded_vec::<NoPadding>(&ciphertext).map_err(|_| "not a multiple of 16 bytes")?;
    let pad = usize::from(*padded.last().ok_or("empty")?);
    if !(1..=BLOCK).contains(&pad) || padded.len() % BLOCK != 0 {
        return Err("the padding is wrong");
    }
    let framed = &padded[..padded.len() - pad];
    if framed.len() < 20 {
        return Err("shorter than its frame");
    }
    let length = u32::from_be_bytes([framed[16], framed[17], framed[18], framed[19]]) as usize;
    let message = framed[20..].get(..length).ok_or("the length is beyond the end")?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| "not UTF-8");
    Ok(Opened { random: framed[..16].to_vec(), message: text(message)?, appid: text(&framed[20 + length..])? })
}

/// An `EncodingAESKey` is 43 characters of base64, whose last one carries two bits too many: they may be anything.
pub fn aes_key(encoding_aes_key: &str) -> [u8; 32] {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let bytes = GeneralPurpose::new(&ALPHABET, config).decode(encoding_aes_key).expect("the test's key is base64");
    bytes.try_into().expect("the test's key has 43 characters")
}
