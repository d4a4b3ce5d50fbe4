//! Pushes that are WeChat's and cannot be read: stored once, and in plain mode within bounds.

use kefu_harness::wechat::{Account, Format, Message, Mode};

use super::trifles::envelopes;
use super::{Ingress, USER, assert_refused, assert_success};

const CUT: &str = "<xml><FromUserName>o</FromUserName><Content><![CDATA[hi";

fn answers(outcome: &str) -> String {
    format!(r#"kefu_ingress_answers_total{{kind="push",outcome="{outcome}"}}"#)
}

#[tokio::test]
async fn re_sends_of_an_unreadable_push_are_one_message() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        // Each with another nonce and, where it is encrypted, another ciphertext.
        for _ in 0..3 {
            let answer = ingress.pushes.send(&account.appid, &account.push_raw(Format::Xml, CUT)).await;
            assert_success(&answer, "a re-send");
        }
        let other = format!("{CUT}!");
        assert_success(&ingress.pushes.send(&account.appid, &account.push_raw(Format::Xml, &other)).await, "another");
    }
    ingress.stores(6).await;
    ingress.unreadable.set(6);
    assert_eq!(ingress.program.metric(&answers("duplicate")).await, 6.0);
    let told = ingress
        .program
        .output()
        .lines()
        .filter(|line| line.contains("cannot read an authentic push, and keeps the push"))
        .count();
    assert_eq!(told, 6, "a line for each message");
}

#[tokio::test]
async fn in_plain_mode_sixty_a_minute_are_kept_for_an_account_and_nothing_large() {
    let accounts = [Mode::Plain, Mode::Plain, Mode::Safe].map(Account::random);
    let ingress = Ingress::start(&accounts.each_ref()).await;
    let [plain, other, safe] = &accounts;
    // As whoever has seen one request can send it.
    let signed = plain.push(Format::Xml, &Message::text(USER, "hi"));
    let forged = |text: &str| signed.clone().with_body(text);
    let of_bytes = |bytes: usize| format!("{CUT}{}", "x".repeat(bytes - CUT.len()));
    for text in [of_bytes(64 * 1024), of_bytes(700_000)] {
        assert_refused(&ingress.pushes.send(&plain.appid, &forged(&text)).await, 400, "large");
        assert_success(&ingress.pushes.send(&safe.appid, &safe.push_raw(Format::Xml, &text)).await, "large and safe");
    }
    for number in 0..59 {
        let answer = ingress.pushes.send(&plain.appid, &forged(&format!("{CUT}{number}"))).await;
        assert_success(&answer, &number.to_string());
    }
    let largest = of_bytes(64 * 1024 - 1);
    assert_success(&ingress.pushes.send(&plain.appid, &forged(&largest)).await, "the 60th");
    for number in [59, 60] {
        let answer = ingress.pushes.send(&plain.appid, &forged(&format!("{CUT}{number}"))).await;
        assert_refused(&answer, 400, "beyond sixty");
    }
    assert_refused(&ingress.pushes.send(&plain.appid, &forged("a=b")).await, 400, "neither XML nor JSON");
    for number in 0..61 {
        let push = safe.push_raw(Format::Xml, &format!("{CUT}{number}"));
        assert_success(&ingress.pushes.send(&safe.appid, &push).await, "safe mode has no such limit");
    }
    assert_success(&ingress.pushes.send(&other.appid, &other.push_raw(Format::Xml, CUT)).await, "another account");
    assert_success(&ingress.pushes.send(&plain.appid, &signed).await, "a readable one");
    for (outcome, count) in [("unreadable_refused", 4), ("malformed", 1)] {
        assert_eq!(ingress.program.metric(&answers(outcome)).await, f64::from(count), "{outcome}");
    }
    ingress.unreadable.set(60 + 2 + 61 + 1);
    ingress.stores(60 + 2 + 61 + 1 + 1).await;
}

#[tokio::test]
async fn an_encrypted_push_for_an_account_in_plain_mode_is_refused_and_the_log_says_what_to_do() {
    let plain = Account::random(Mode::Plain);
    let ingress = Ingress::start(&[&plain]).await;
    let console = Account { mode: Mode::Safe, ..plain.clone() };
    for format in Format::ALL {
        let answer = ingress.pushes.push(&console, format, &Message::text(USER, "hi")).await;
        assert_refused(&answer, 400, "encrypted");
    }
    ingress.stores(0).await;
    assert_eq!(ingress.program.metric(&answers("malformed")).await, 2.0);
    let output = ingress.program.output();
    assert!(output.contains("the push is encrypted: set the account's mode to that of WeChat's console"), "{output}");
}

#[tokio::test]
async fn what_is_not_authentic_is_refused_and_kept_nowhere() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        let push = account.push_raw(Format::Xml, CUT);
        let stranger = Account { token: "of-somebody-else".to_owned(), ..account.clone() };
        let unsigned = stranger.push_raw(Format::Xml, CUT);
        assert_refused(&ingress.pushes.send(&account.appid, &unsigned).await, 401, "another Token");
        if account.mode != Mode::Plain {
            let key = Account::random(Mode::Safe).encoding_aes_key;
            let other_key = Account { encoding_aes_key: key, ..account.clone() };
            let answer = ingress.pushes.send(&account.appid, &other_key.push_raw(Format::Xml, CUT)).await;
            assert_refused(&answer, 401, "another key");
            let clear = push.clone().with_body("<xml><ToUserName>gh_1</ToUserName></xml>");
            assert_refused(&ingress.pushes.send(&account.appid, &clear).await, 401, "without Encrypt");
        }
    }
    ingress.stores(0).await;
}

#[tokio::test]
async fn an_ingress_without_its_store_keeps_unreadable_pushes_too() {
    let (mut ingress, account) = Ingress::in_mode(Mode::Safe).await;
    ingress.redis.kill();
    assert_success(&ingress.pushes.send(&account.appid, &account.push_raw(Format::Xml, b"")).await, "no bytes at all");
    let envelope = &envelopes(&ingress, 1).await[0];
    assert_eq!((&envelope["v"], &envelope["unreadable"]["bytes"]), (&3.into(), &"".into()));
    ingress.unreadable.set(1);
}
