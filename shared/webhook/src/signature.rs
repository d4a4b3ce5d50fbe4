//! The proof to the team's service that a call comes from kefu.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The value of the header `Kefu-Signature`: `v1=` and the HMAC-SHA256 in hex, made with the secret over the timestamp's
/// digits, a dot and the body.
pub(super) fn sign(secret: &SecretString, timestamp: u64, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return String::new() };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `printf '%s' '1700000000.{"v":1,"text":"你好"}' | openssl dgst -sha256 -hmac 'a secret of the shop'`.
    #[test]
    fn the_signature_is_the_one_that_openssl_makes() {
        let signed = sign(&"a secret of the shop".into(), 1_700_000_000, r#"{"v":1,"text":"你好"}"#.as_bytes());
        assert_eq!(signed, "v1=d073f0babdb3cedf1e693ad20cb73855f7bf82fc1d25db35618dfe09f3f906ae");
    }
}
