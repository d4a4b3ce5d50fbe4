//! How long ingress computes on a push, in each mode and format: `cargo bench -p kefu-wechat`.
//!
//! The steps are those of ingress: check the signature, find and open the ciphertext, read the text.
#![allow(missing_docs, clippy::unwrap_used)]

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, InnerIvInit, Iv, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use divan::{Bencher, black_box};
use kefu_wechat::cipher::EncodingAesKey;
use kefu_wechat::push::{Push, ciphertexts};
use kefu_wechat::signature;
use sha1::{Digest, Sha1};

fn main() {
    divan::main();
}

const TOKEN: &str = "AAAAA";
const TIMESTAMP: &str = "1714037059";
const NONCE: &str = "486452656";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFE";
const APPID: &str = "wx0123456789abcdef";

const JSON: &str = r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
"CreateTime":1714037059,"MsgType":"text","Content":"请发二维码 😀","MsgId":1234567890123456}"#;

const XML: &str = "<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName>\
<FromUserName><![CDATA[o9AgO5Kd5ggOC-bXrbNODIiE3bGY]]></FromUserName><CreateTime>1714037059</CreateTime>\
<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[请发二维码 😀]]></Content><MsgId>1234567890123456</MsgId></xml>";

#[derive(Debug, Clone, Copy)]
enum Case {
    PlainJson,
    PlainXml,
    CompatJson,
    CompatXml,
    SafeJson,
    SafeXml,
}

use Case::{CompatJson, CompatXml, PlainJson, PlainXml, SafeJson, SafeXml};

const CASES: [Case; 6] = [PlainJson, PlainXml, CompatJson, CompatXml, SafeJson, SafeXml];

impl Case {
    fn text(self) -> &'static str {
        match self {
            PlainJson | CompatJson | SafeJson => JSON,
            PlainXml | CompatXml | SafeXml => XML,
        }
    }

    fn is_encrypted(self) -> bool {
        !matches!(self, PlainJson | PlainXml)
    }

    /// What WeChat sends.
    fn body(self, key: &EncodingAesKey) -> String {
        let encrypt = key.encrypt(self.text(), APPID, [7; 16]);
        match self {
            PlainJson | PlainXml => self.text().to_owned(),
            CompatJson => JSON.replace('}', &format!(r#","Encrypt":"{encrypt}"}}"#)),
            CompatXml => XML.replace("</xml>", &format!("<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>")),
            SafeJson => format!(r#"{{"ToUserName":"gh_97417a04a28d","Encrypt":"{encrypt}"}}"#),
            SafeXml => format!(
                "<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
            ),
        }
    }
}

/// The signature is that of the request.
fn taken(body: &str, is_encrypted: bool, given: &str, key: &EncodingAesKey) -> Option<Push> {
    if !is_encrypted {
        let right = signature::verify(TOKEN, TIMESTAMP, NONCE, given);
        return right.then(|| Push::parse(body).ok())?;
    }
    let found = ciphertexts(body);
    let is_signed = |encrypt: &str| signature::verify_encrypted(TOKEN, TIMESTAMP, NONCE, encrypt, given);
    let encrypt = found.iter().find(|encrypt| is_signed(encrypt))?;
    Push::parse(&key.decrypt(encrypt, APPID).ok()?).ok()
}

#[divan::bench(args = CASES)]
fn verify_decrypt_and_parse(bencher: Bencher, case: Case) {
    let key = EncodingAesKey::parse(KEY).unwrap();
    let body = case.body(&key);
    let given = match case.is_encrypted() {
        true => signature::sign_encrypted(TOKEN, TIMESTAMP, NONCE, &ciphertexts(&body)[0]),
        false => signature::sign(TOKEN, TIMESTAMP, NONCE),
    };
    assert!(taken(&body, case.is_encrypted(), &given, &key).is_some());
    bencher.bench_local(|| taken(black_box(&body), case.is_encrypted(), &given, &key));
}

/// What no program can leave out: SHA-1, Base64 and AES of a safe push, without looking at the bytes.
#[divan::bench(args = [SafeJson, SafeXml])]
fn sha1_base64_and_aes_alone(bencher: Bencher, case: Case) {
    let key = EncodingAesKey::parse(KEY).unwrap();
    let body = case.body(&key);
    let encrypt = ciphertexts(&body)[0].to_string();
    let raw = STANDARD.decode(format!("{KEY}=")).unwrap();
    let (cipher, iv) =
        (Aes256::new_from_slice(&raw).unwrap(), Iv::<cbc::Decryptor<Aes256>>::try_from(&raw[..16]).unwrap());
    bencher.bench_local(|| {
        let digest = Sha1::digest(black_box(&encrypt));
        let mut bytes = STANDARD.decode(black_box(&encrypt)).unwrap();
        cbc::Decryptor::inner_iv_init(&cipher, &iv).decrypt_padded::<NoPadding>(&mut bytes).unwrap();
        (digest, bytes)
    });
}

#[divan::bench(args = [PlainJson, PlainXml])]
fn parse(bencher: Bencher, case: Case) {
    bencher.bench_local(|| Push::parse(black_box(case.text())));
}

#[divan::bench(args = [100, 2_000, 20_000])]
fn decrypt(bencher: Bencher, characters: usize) {
    let key = EncodingAesKey::parse(KEY).unwrap();
    let encrypt = key.encrypt(&"a".repeat(characters), APPID, [7; 16]);
    bencher.bench_local(|| key.decrypt(black_box(&encrypt), APPID));
}
