//! Signatures.

use sha1::{Digest, Sha1};

/// The lowercase hex SHA-1 of the parts, sorted byte by byte and put together without anything between them.
///
/// `signature` takes Token, timestamp and nonce; `msg_signature` takes the base64 text of `Encrypt` as well.
pub fn signature(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    hex::encode(Sha1::digest(sorted.concat()))
}
