//! Ciphertexts that are rightly signed and wrongly made: refused alike, whatever is wrong.

use kefu_harness::process::Role;
use kefu_harness::wechat::cipher::{encrypt, encrypt_raw};
use kefu_harness::wechat::{Account, Format, Message, Mode, PushRequest};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Ingress, USER, assert_refused, assert_success, bytes, read_to_end};

const RANDOM: &[u8; 16] = b"0123456789abcdef";

/// What can be wrong with the text of `Encrypt`, and with what it holds.
fn bad_ciphertexts(account: &Account) -> Vec<(&'static str, String)> {
    let text = Message::text(USER, "hi").to_text(Format::Json);
    let good = encrypt(&account.encoding_aes_key, RANDOM, &text, &account.appid);
    let another_key = Account::random(Mode::Safe).encoding_aes_key;
    let holding = |plaintext: Vec<u8>| encrypt_raw(&account.encoding_aes_key, &padded(plaintext));
    let appid = &account.appid;

    // One character of Base64 carries 6 bits: 64 characters are 48 bytes, 3 blocks of the cipher.
    vec![
        ("cut to a block", good[..64].to_owned()),
        ("cut within a block", good[..68].to_owned()),
        ("cut within a group", good[..61].to_owned()),
        ("empty", String::new()),
        ("not Base64", format!("*{}", &good[1..])),
        ("with a line break", format!("{}\n{}", &good[..64], &good[64..])),
        ("garbage of whole blocks", "A".repeat(128)),
        ("of another key", encrypt(&another_key, RANDOM, &text, appid)),
        ("of another appid", encrypt(&account.encoding_aes_key, RANDOM, &text, "wx0000000000000000")),
        ("without an appid", encrypt(&account.encoding_aes_key, RANDOM, &text, "")),
        ("padding of 0", holding([frame(2, b"{}", appid), vec![0; 10]].concat())),
        ("padding of 33", holding(vec![33; 64])),
        ("unequal padding", holding([frame(2, b"{}", appid), vec![9, 9, 9, 9, 9, 9, 9, 9, 9, 10]].concat())),
        ("a length beyond the end", holding(frame(u32::MAX, b"{}", appid))),
        ("a length within the appid", holding(frame(3, b"{}", appid))),
        ("not UTF-8, for another appid", holding(frame(3, b"{\xff}", "wx0000000000000000"))),
    ]
}

#[tokio::test]
async fn whatever_is_wrong_with_a_ciphertext_or_its_signature_the_answer_is_the_same() {
    let accounts = [Mode::Safe, Mode::Compat].map(Account::random);
    let ingress = Ingress::start(&accounts.each_ref()).await;
    let mut answers = Vec::new();
    for account in &accounts {
        for format in Format::ALL {
            let mut requests: Vec<_> = bad_ciphertexts(account)
                .into_iter()
                .map(|(case, ciphertext)| (case, account.push_ciphertext(format, &ciphertext)))
                .collect();
            let good = account.push(format, &Message::text(USER, "hi"));
            requests.push(("a wrong signature", good.with_parameter("msg_signature", &"0".repeat(40))));
            for (case, request) in requests {
                answers.push((case, raw_answer(&ingress, account, &request).await));
            }
        }
    }
    let (_, first) = &answers[0];
    assert!(first.starts_with("HTTP/1.1 401 ") && !first.contains("success"), "{first}");
    for (case, answer) in &answers {
        assert_eq!(answer, first, "the answer tells {case} apart");
    }
    for account in &accounts {
        let good = ingress.pushes.push(account, Format::Xml, &Message::text(USER, "hi")).await;
        assert_success(&good, "a good one");
    }
    ingress.stores(2).await;
    ingress.is_up().await;
}

/// All of the answer, as it comes over the wire, but for the time in it.
async fn raw_answer(ingress: &Ingress, account: &Account, request: &PushRequest) -> String {
    let (head, body) = bytes(account, request);
    let mut connection = TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap();
    connection.write_all(&head).await.unwrap();
    connection.write_all(&body).await.unwrap();
    connection.shutdown().await.unwrap();
    let answer = read_to_end(&mut connection).await;
    answer.lines().filter(|line| !line.starts_with("date: ")).map(|line| format!("{line}\n")).collect()
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
