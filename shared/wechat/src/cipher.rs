//! The cipher of safe and compat mode: AES-256-CBC with WeChat's own framing.
//!
//! The key is the Base64 of the 43-character EncodingAESKey with its missing `=`; the IV is the first 16 bytes of the
//! key; the plaintext is `random(16) + length (u32, big endian) + message + appid`, padded as PKCS#7 to blocks of **32**
//! bytes. The mode has no integrity check of its own: verify `msg_signature` before decrypting.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// WeChat sets the surplus bits of an EncodingAESKey's last character as it likes (about 3 of 4 keys), which strict
/// decoders refuse.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const PADDED_BLOCK: usize = 32;
const RANDOM: usize = 16;
const HEAD: usize = RANDOM + 4;

/// The key of an account, from its EncodingAESKey. `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct EncodingAesKey {
    /// With the key schedule, which takes as long as the decryption of a short push.
    cipher: Aes256,
    iv: [u8; 16],
}

/// Why a text is no EncodingAESKey. The error does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 43 characters.
    #[error("an EncodingAESKey has 43 characters, this one has {0}")]
    Length(usize),
    /// Characters that Base64 does not have.
    #[error("an EncodingAESKey has only the characters A-Z, a-z, 0-9, + and /")]
    Alphabet,
}

/// Why a ciphertext could not be opened. Give all of these errors the same answer: a difference helps an attacker guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// `Encrypt` is not Base64.
    #[error("the ciphertext is not Base64")]
    NotBase64,
    /// Empty, or not a multiple of the cipher's block of 16 bytes.
    #[error("the ciphertext's length is not a multiple of the block")]
    Length,
    /// The padding is not 1 to 32 equal bytes.
    #[error("the padding is wrong")]
    Padding,
    /// The length field points beyond the end.
    #[error("the length field is wrong")]
    Framing,
    /// The message is for another appid.
    #[error("the appid in the ciphertext is not the account's")]
    AppId,
}

impl EncodingAesKey {
    /// Reads the 43 characters of the WeChat console.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let count = text.chars().count();
        if count != 43 {
            return Err(KeyError::Length(count));
        }
        let bytes = LENIENT.decode(text).map_err(|_| KeyError::Alphabet)?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Alphabet)?;
        let mut iv = [0; 16];
        iv.copy_from_slice(&key[..16]);
        Ok(Self { cipher: Aes256::new(&key.into()), iv })
    }

    /// As [`EncodingAesKey::decrypt_bytes`], as text: a sequence that is not UTF-8 becomes U+FFFD.
    pub fn decrypt(&self, encrypt: &str, appid: &str) -> Result<String, CipherError> {
        let bytes = self.decrypt_bytes(encrypt, appid)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Opens the text of `Encrypt`; `appid` must be the appid inside.
    pub fn decrypt_bytes(&self, encrypt: &str, appid: &str) -> Result<Vec<u8>, CipherError> {
        let mut bytes = LENIENT.decode(encrypt).map_err(|_| CipherError::NotBase64)?;
        if bytes.is_empty() || bytes.len() % 16 != 0 {
            return Err(CipherError::Length);
        }
        let cipher = cbc::Decryptor::inner_iv_init(&self.cipher, &self.iv.into());
        let padded = cipher.decrypt_padded::<NoPadding>(&mut bytes).map_err(|_| CipherError::Length)?;
        let framed = strip_padding(padded)?;

        let length = framed.get(RANDOM..HEAD).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(CipherError::Framing)?;
        let rest = &framed[HEAD..];
        if length > rest.len() {
            return Err(CipherError::Framing);
        }
        if &rest[length..] != appid.as_bytes() {
            return Err(CipherError::AppId);
        }
        bytes.truncate(HEAD + length);
        bytes.drain(..HEAD);
        Ok(bytes)
    }

    /// Makes the text of an `Encrypt`; `random` must be fresh for each message.
    pub fn encrypt(&self, message: &str, appid: &str, random: [u8; 16]) -> String {
        let mut plain = random.to_vec();
        // A message of 4 GiB cannot reach this line: bodies have a limit.
        plain.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend(message.as_bytes());
        plain.extend(appid.as_bytes());
        let pad = PADDED_BLOCK - plain.len() % PADDED_BLOCK;
        plain.resize(plain.len() + pad, pad as u8);

        let cipher = cbc::Encryptor::inner_iv_init(&self.cipher, &self.iv.into());
        LENIENT.encode(cipher.encrypt_padded_vec::<NoPadding>(&plain))
    }
}

impl std::fmt::Debug for EncodingAesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EncodingAesKey([REDACTED])")
    }
}

/// PKCS#7 with a block of 32. Libraries unpad to the cipher's block of 16, and refuse WeChat's messages.
fn strip_padding(padded: &[u8]) -> Result<&[u8], CipherError> {
    let pad = padded.last().map_or(0, |&last| usize::from(last));
    if !(1..=PADDED_BLOCK).contains(&pad) || pad > padded.len() {
        return Err(CipherError::Padding);
    }
    let (framed, padding) = padded.split_at(padded.len() - pad);
    if padding.iter().any(|&byte| usize::from(byte) != pad) {
        return Err(CipherError::Padding);
    }
    Ok(framed)
}
