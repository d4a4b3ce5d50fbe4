//! Signatures of requests: SHA-1 over sorted strings.

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// The `signature` of a request: lowercase hex SHA-1 of token, timestamp and nonce, sorted byte by byte as strings (never
/// as numbers) and joined without a separator. The signature does not cover the body.
pub fn sign(token: &str, timestamp: &str, nonce: &str) -> String {
    hex_sha1_of_sorted([token, timestamp, nonce])
}

/// The `msg_signature` of an encrypted body: as [`sign`], with the text of `Encrypt` exactly as it stands in the body.
pub fn sign_encrypted(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    hex_sha1_of_sorted([token, timestamp, nonce, encrypt])
}

/// Whether two signatures are equal, in a time that depends on their lengths only.
pub fn matches(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

fn hex_sha1_of_sorted<const N: usize>(mut parts: [&str; N]) -> String {
    parts.sort_unstable();
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update(part.as_bytes());
    }
    hex::encode(sha1.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_sorted_by_bytes_and_not_as_numbers() {
        // As on the official page, "1714037059" sorts before "486452656".
        assert_eq!(sign("AAAAA", "1714037059", "486452656"), "899cf89e464efb63f54ddac96b0a0a235f53aa78");
    }

    #[test]
    fn a_signature_matches_only_itself() {
        let signature = sign("token", "1", "2");
        assert!(matches(&signature, &signature));
        assert!(!matches(&signature, &signature.to_uppercase()));
        assert!(!matches(&signature, &signature[..39]));
        assert!(!matches(&signature, ""));
    }
}
