//! Known answers from WeChat's documentation and from test suites of SDKs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use kefu_wechat::cipher::EncodingAesKey;
use kefu_wechat::passive_reply::Seal;
use kefu_wechat::push::{Body, Push};
use kefu_wechat::signature;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
    url_verification: Signed,
    plaintext_mode_push: Signed,
}

#[derive(Deserialize)]
struct Signed {
    token: String,
    timestamp: String,
    nonce: String,
    signature: String,
    body: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    kind: String,
    token: String,
    encoding_aes_key: Option<String>,
    appid: Option<String>,
    timestamp: String,
    nonce: String,
    signature: Option<String>,
    msg_signature: Option<String>,
    random16: Option<String>,
    encrypt: String,
    plaintext: Option<String>,
    full_body: Option<String>,
}

fn file() -> File {
    serde_json::from_str(include_str!("../../../tests/vectors.json")).unwrap()
}

fn vectors() -> Vec<Vector> {
    let vectors = file().vectors;
    assert_eq!(vectors.len(), 7);
    vectors
}

#[test]
fn the_url_verification_and_the_plain_push_are_signed_as_documented() {
    let File { url_verification, plaintext_mode_push, .. } = file();
    for one in [&url_verification, &plaintext_mode_push] {
        assert_eq!(signature::sign(&one.token, &one.timestamp, &one.nonce), one.signature);
    }
    let push = Push::parse(&plaintext_mode_push.body.unwrap().to_string()).unwrap();
    assert_eq!((push.event(), push.create_time), (Some("debug_demo"), 1_714_037_059));
}

#[test]
fn all_signatures_come_out_as_documented() {
    let mut checked = 0;
    for vector in vectors() {
        let Vector { id, token, timestamp, nonce, encrypt, .. } = &vector;
        if let Some(expected) = &vector.signature {
            assert_eq!(&signature::sign(token, timestamp, nonce), expected, "{id}");
            checked += 1;
        }
        if let Some(expected) = &vector.msg_signature {
            assert_eq!(&signature::sign_encrypted(token, timestamp, nonce, encrypt), expected, "{id}");
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
}

#[test]
fn all_ciphertexts_open_and_encrypt_again_to_the_same_bytes() {
    let mut checked = 0;
    for vector in vectors() {
        let Some(key) = &vector.encoding_aes_key else { continue };
        let key = EncodingAesKey::parse(key).unwrap();
        let (appid, plaintext) = (vector.appid.unwrap(), vector.plaintext.unwrap());
        let random = vector.random16.unwrap().into_bytes().try_into().unwrap();
        assert_eq!(key.decrypt(&vector.encrypt, &appid).unwrap(), plaintext, "{}", vector.id);
        assert_eq!(key.encrypt(&plaintext, &appid, random), vector.encrypt, "{}", vector.id);
        checked += 1;
    }
    assert_eq!(checked, 6);
}

#[test]
fn the_documented_answer_is_sealed_to_the_same_text() {
    let vector = vectors().into_iter().find(|vector| vector.kind == "reply").unwrap();
    let key = EncodingAesKey::parse(&vector.encoding_aes_key.unwrap()).unwrap();
    let (appid, random) = (vector.appid.unwrap(), vector.random16.unwrap().into_bytes().try_into().unwrap());
    let seal = Seal { appid: &appid, token: &vector.token, key: &key };
    let sealed = seal.encrypt(&vector.plaintext.unwrap(), vector.timestamp.parse().unwrap(), &vector.nonce, random);
    let expected = format!(
        r#"{{"Encrypt":"{}","MsgSignature":"{}","TimeStamp":{},"Nonce":"{}"}}"#,
        vector.encrypt,
        vector.msg_signature.unwrap(),
        vector.timestamp,
        vector.nonce
    );
    assert_eq!(sealed, expected);
}

#[test]
fn all_pushes_are_understood() {
    let mut checked = 0;
    for vector in vectors().into_iter().filter(|vector| vector.kind == "push") {
        let push = Push::parse(&vector.plaintext.unwrap()).unwrap();
        assert!(!push.from_user.as_str().is_empty() && !push.msg_type.is_empty(), "{}", vector.id);
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn a_compat_body_has_both_the_plain_fields_and_the_ciphertext() {
    let vector = vectors().into_iter().find(|vector| vector.full_body.is_some()).unwrap();
    let body = vector.full_body.unwrap().replace("{encrypt}", &vector.encrypt);
    let body = Body::parse(&body).unwrap();
    assert_eq!(body.encrypt(), Some(vector.encrypt.as_str()));
    assert!(body.fields.text("FromUserName").is_some());
}
