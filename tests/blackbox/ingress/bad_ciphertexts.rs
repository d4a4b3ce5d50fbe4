//! Ciphertexts that are rightly signed and wrongly made: refused alike, whatever is wrong.

use kefu_harness::wechat::cipher::{encrypt, encrypt_raw};
use kefu_harness::wechat::{Account, Format, Message, Mode};

use super::{Ingress, USER, assert_refused, assert_success};

const RANDOM: &[u8; 16] = b"0123456789abcdef";

#[tokio::test]
async fn whatever_is_wrong_with_a_ciphertext_the_answer_is_the_same() {
    let account = Account::random(Mode::Safe);
    let ingress = Ingress::start(&[&account]).await;
    let text = Message::text(USER, "hi").to_text(Format::Json);
    let good = encrypt(&account.encoding_aes_key, RANDOM, &text, &account.appid);
    let another_key = Account::random(Mode::Safe).encoding_aes_key;

    // One character of Base64 carries 6 bits: 64 characters are 48 bytes, 3 blocks of the cipher.
    let cases = [
        ("cut to a block", good[..64].to_owned()),
        ("cut within a block", good[..68].to_owned()),
        ("cut within a group", good[..61].to_owned()),
        ("empty", String::new()),
        ("not Base64", format!("*{}", &good[1..])),
        ("with a line break", format!("{}\n{}", &good[..64], &good[64..])),
        ("garbage of whole blocks", "A".repeat(128)),
        ("of another key", encrypt(&another_key, RANDOM, &text, &account.appid)),
        ("of another appid", encrypt(&account.encoding_aes_key, RANDOM, &text, "wx0000000000000000")),
        ("without an appid", encrypt(&account.encoding_aes_key, RANDOM, &text, "")),
    ];
    let mut answers = Vec::new();
    for (case, ciphertext) in cases {
        for format in Format::ALL {
            let answer = ingress.pushes.send(&account.appid, &account.push_ciphertext(format, &ciphertext)).await;
            assert_refused(&answer, 401, case);
            answers.push((answer.body, answer.content_type));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the answers tell reasons apart: {answers:?}");
    let answer = ingress.pushes.send(&account.appid, &account.push_ciphertext(Format::Xml, &good)).await;
    assert_success(&answer, "the good one");
    ingress.stores(1).await;
    ingress.is_up().await;
}

#[tokio::test]
async fn bad_padding_and_a_length_beyond_the_end_are_refused() {
    let account = Account::random(Mode::Safe);
    let ingress = Ingress::start(&[&account]).await;
    let cases: [(&str, Vec<u8>); 5] = [
        ("padding of 0", [frame(2, b"{}", &account.appid), vec![0; 10]].concat()),
        ("padding of 33", vec![33; 64]),
        ("unequal padding", [frame(2, b"{}", &account.appid), vec![9, 9, 9, 9, 9, 9, 9, 9, 9, 10]].concat()),
        ("a length beyond the end", frame(u32::MAX, b"{}", &account.appid)),
        ("a length within the appid", frame(3, b"{}", &account.appid)),
    ];
    for (case, plaintext) in cases {
        let ciphertext = encrypt_raw(&account.encoding_aes_key, &padded(plaintext));
        let answer = ingress.pushes.send(&account.appid, &account.push_ciphertext(Format::Xml, &ciphertext)).await;
        assert_refused(&answer, 401, case);
    }
    ingress.stores(0).await;
}

/// Random bytes, length, message, appid.
fn frame(length: u32, message: &[u8], appid: &str) -> Vec<u8> {
    [RANDOM.as_slice(), &length.to_be_bytes(), message, appid.as_bytes()].concat()
}

/// Filled up with proper padding, unless the length is right already.
fn padded(mut plaintext: Vec<u8>) -> Vec<u8> {
    let pad = (32 - plaintext.len() % 32) % 32;
    plaintext.resize(plaintext.len() + pad, pad as u8);
    plaintext
}

#[tokio::test]
async fn the_previous_token_and_key_are_taken_while_they_are_listed() {
    let now = Account::random(Mode::Safe);
    let before = Account { appid: now.appid.clone(), ..Account::random(Mode::Safe) };
    let options = |previous: &str| {
        let mut options = kefu_harness::stack::StackOptions::new(
            kefu_harness::stack::Backend::Production,
            vec![now.clone()],
            "http://127.0.0.1:9",
        );
        options.rules = previous.to_owned();
        options
    };
    let listed = format!(
        "[[account.previous]]\ntoken = \"{}\"\nencoding_aes_key = \"{}\"\n",
        before.token, before.encoding_aes_key
    );
    let ingress = Ingress::start_with(options(&listed)).await;
    for account in [&now, &before] {
        let answer = ingress.pushes.push(account, Format::Xml, &Message::text(USER, "hi")).await;
        assert_success(&answer, "listed");
        assert_eq!(ingress.pushes.verify(&account.appid, &account.verification("7")).await.body, "7");
    }
    drop(ingress);

    let ingress = Ingress::start_with(options("")).await;
    assert_success(&ingress.pushes.push(&now, Format::Xml, &Message::text(USER, "hi")).await, "the present one");
    assert_refused(
        &ingress.pushes.push(&before, Format::Xml, &Message::text(USER, "hi")).await,
        401,
        "no longer listed",
    );
}
