//! Known answers: `tests/vectors.json`.

use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize)]
pub struct Vectors {
    /// Encrypted texts.
    pub vectors: Vec<Vector>,
    /// A check of the URL.
    pub url_verification: Signed,
    /// A push that is not encrypted.
    pub plaintext_mode_push: Signed,
}

/// An encrypted text with its signatures, as far as its source tells them.
#[derive(Debug, Deserialize)]
pub struct Vector {
    /// Its name in the file.
    pub id: String,
    /// The account's Token.
    pub token: String,
    /// The account's EncodingAESKey.
    pub encoding_aes_key: Option<String>,
    /// The account's appid.
    pub appid: Option<String>,
    /// As in the URL.
    pub timestamp: String,
    /// As in the URL.
    pub nonce: String,
    /// Over Token, timestamp and nonce.
    pub signature: Option<String>,
    /// The same, and `encrypt`.
    pub msg_signature: Option<String>,
    /// The 16 bytes before the text.
    pub random16: Option<String>,
    /// The ciphertext, in Base64.
    pub encrypt: String,
    /// The text.
    pub plaintext: Option<String>,
}

/// What is signed and not encrypted.
#[derive(Debug, Deserialize)]
pub struct Signed {
    /// The account's Token.
    pub token: String,
    /// As in the URL.
    pub timestamp: String,
    /// As in the URL.
    pub nonce: String,
    /// Over the three.
    pub signature: String,
}

/// All of them.
///
/// # Panics
/// When the file has another form.
pub fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../vectors.json")).expect("the file has this form")
}
