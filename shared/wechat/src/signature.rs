//! Signatures of requests: SHA-1 over sorted strings.

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// The `signature` of a request: lowercase hex SHA-1 of token, timestamp and nonce, sorted byte by byte as strings (never
/// as numbers) and joined without a separator. The signature does not cover the body.
pub fn sign(token: &str, timestamp: &str, nonce: &str) -> String {
    text(&hex_sha1_of_sorted([token, timestamp, nonce]))
}

/// The `msg_signature` of an encrypted body: as [`sign`], with the text of `Encrypt` exactly as it stands in the body.
pub fn sign_encrypted(token: &str, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    text(&hex_sha1_of_sorted([token, timestamp, nonce, encrypt]))
}

/// Whether `given` is the `signature` of [`sign`]. The time does not depend on where the two differ.
pub fn verify(token: &str, timestamp: &str, nonce: &str, given: &str) -> bool {
    matches(hex_sha1_of_sorted([token, timestamp, nonce]), given)
}

/// Whether `given` is the `msg_signature` of [`sign_encrypted`]. The time does not depend on where the two differ.
pub fn verify_encrypted(token: &str, timestamp: &str, nonce: &str, encrypt: &str, given: &str) -> bool {
    matches(hex_sha1_of_sorted([token, timestamp, nonce, encrypt]), given)
}

type HexSha1 = [u8; 40];

fn matches(expected: HexSha1, given: &str) -> bool {
    HexSha1::try_from(given.as_bytes()).is_ok_and(|given| words(expected).ct_eq(&words(given)).into())
}

/// The same bytes in words, of which a comparison in constant time needs an eighth of the steps.
fn words(hex: HexSha1) -> [u64; 5] {
    let (words, _) = hex.as_chunks();
    std::array::from_fn(|at| words.get(at).copied().map_or(0, u64::from_ne_bytes))
}

fn text(hex: &HexSha1) -> String {
    hex.iter().copied().map(char::from).collect()
}

fn hex_sha1_of_sorted<const N: usize>(mut parts: [&str; N]) -> HexSha1 {
    parts.sort_unstable();
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update(part.as_bytes());
    }
    let mut hex = [0; 40];
    // The two lengths fit: a SHA-1 has 20 bytes.
    hex::encode_to_slice(sha1.finalize(), &mut hex).unwrap_or_default();
    hex
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
        let matches = |given: &str| verify("token", "1", "2", given);
        assert!(matches(&signature));
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other.replace_range(at..=at, if signature[at..].starts_with('0') { "1" } else { "0" });
            assert!(!matches(&other), "{at}");
        }
        assert!(!matches(&signature.to_uppercase()));
        assert!(!matches(&signature[..39]));
        assert!(!matches(""));
    }
}
