//! The harness's own signing and encrypting against known answers.

use kefu_harness::wechat::cipher::{decrypt, encrypt};
use kefu_harness::wechat::signature;
use kefu_harness::wechat::vectors::{Vector, Vectors, vectors};

#[test]
fn every_known_signature_comes_out() {
    let Vectors { vectors, url_verification, plaintext_mode_push } = vectors();
    for signed in [url_verification, plaintext_mode_push] {
        assert_eq!(signature(&[&signed.token, &signed.timestamp, &signed.nonce]), signed.signature);
    }
    let mut checked = 0;
    for vector in vectors {
        let Vector { id, token, timestamp, nonce, encrypt, .. } = vector;
        if let Some(expected) = vector.signature {
            assert_eq!(signature(&[&token, &timestamp, &nonce]), expected, "{id}");
        }
        if let Some(expected) = vector.msg_signature {
            assert_eq!(signature(&[&token, &timestamp, &nonce, &encrypt]), expected, "{id}");
            checked += 1;
        }
    }
    assert_eq!(checked, 5, "vectors with a msg_signature");
}

#[test]
fn every_known_ciphertext_is_decrypted_and_comes_out_again() {
    let mut checked = 0;
    for vector in vectors().vectors {
        let (Some(key), Some(appid), Some(plaintext), Some(random)) =
            (vector.encoding_aes_key, vector.appid, vector.plaintext, vector.random16)
        else {
            continue;
        };
        let opened = decrypt(&key, &vector.encrypt).unwrap();
        assert_eq!(
            (opened.message.as_str(), opened.appid.as_str()),
            (plaintext.as_str(), appid.as_str()),
            "{}",
            vector.id
        );
        assert_eq!(opened.random, random.as_bytes(), "{}", vector.id);
        let random = random.as_bytes().try_into().unwrap();
        assert_eq!(encrypt(&key, random, &plaintext, &appid), vector.encrypt, "{}", vector.id);
        checked += 1;
    }
    assert_eq!(checked, 6, "vectors with a known key and plaintext");
}
