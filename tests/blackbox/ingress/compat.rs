//! Compat mode: what stands beside `Encrypt`.

use kefu_harness::wechat::cipher::encrypt;
use kefu_harness::wechat::{Account, Format, Message, Mode, PushRequest};

use super::trifles::envelopes;
use super::{Ingress, USER, assert_refused, assert_success};

/// A signed push of `message` with the body that `body` makes of its `Encrypt`.
fn push(account: &Account, message: &Message, body: impl FnOnce(&str) -> String) -> PushRequest {
    let text = message.to_text(Format::Xml);
    let ciphertext = encrypt(&account.encoding_aes_key, b"0123456789abcdef", &text, &account.appid);
    account.push_ciphertext(Format::Xml, &ciphertext).with_body(body(&ciphertext))
}

/// Bodies around an `Encrypt` in XML: before it, and behind it.
fn around() -> Vec<(&'static str, String, String)> {
    let element = |before: &str, behind: &str| (before.to_owned(), behind.to_owned());
    let cases = [
        ("nothing else", element("<xml>", "</xml>")),
        ("unescaped CDATA", element("<xml><Content><![CDATA[<a><![CDATA[1]]></a>]]></Content>", "</xml>")),
        ("crossed tags", element("<xml><a><b></a></b>", "</xml>")),
        ("a cut copy", element("<xml><Content><![CDATA[", "")),
        ("a DOCTYPE", element("<!DOCTYPE x [<!ENTITY e \"\">]><xml>", "&e;</xml>")),
        ("fields twice", element("<xml><MsgType>a</MsgType><MsgType>b</MsgType>", "</xml>")),
        ("no element", element("hello ", "")),
        ("bytes behind it", element("<xml>", "</xml>\0\0 \0")),
    ];
    let deep = ("10,000 levels", element(&format!("<xml>{}", "<a>".repeat(10_000)), "</xml>"));
    let fields = ("1,000 fields", element(&format!("<xml>{}", "<a>1</a>".repeat(1_000)), "</xml>"));
    let fakes = "<Encrypt>AAAA</Encrypt>\"Encrypt\":\"AAAA\"".repeat(100);
    let copied = ("false ones before it", element(&format!("<xml><Content>{fakes}</Content>"), "</xml>"));
    let behind = ("false ones behind it", element("<xml>", &format!("<Content>{fakes}</Content></xml>")));
    let cases = cases.into_iter().chain([deep, fields, copied, behind]);
    cases.map(|(case, (before, behind))| (case, before, behind)).collect()
}

#[tokio::test]
async fn nothing_but_encrypt_is_read_of_an_encrypted_body() {
    let accounts = [Mode::Compat, Mode::Safe].map(Account::random);
    let ingress = Ingress::start(&accounts.each_ref()).await;
    let mut sent = 0;
    for account in &accounts {
        for (case, before, behind) in around() {
            let message = Message::text(USER, "the true text");
            let bodies: [&dyn Fn(&str) -> String; 4] = [
                &|encrypt| format!("{before}<Encrypt><![CDATA[{encrypt}]]></Encrypt>{behind}"),
                &|encrypt| format!("{before}<Encrypt>\n {encrypt}\n </Encrypt>{behind}"),
                &|encrypt| format!("{{\"Content\":\"{before}\",\"Encrypt\" : \"{encrypt}\" {behind}"),
                &|encrypt| format!("{{\"Encrypt\":\"{}\"", encrypt.replace('/', "\\/").replace('+', "\\u002b")),
            ];
            for body in bodies {
                let answer = ingress.pushes.send(&account.appid, &push(account, &message, body)).await;
                assert_success(&answer, &format!("{case} in {:?} mode", account.mode));
            }
            sent += 1;
        }
    }
    // The bodies around one message are copies of it.
    for envelope in envelopes(&ingress, sent).await {
        assert_eq!(envelope["push"]["content"]["content"], "the true text");
    }
    ingress.stores(0).await;
}

#[tokio::test]
async fn a_body_without_the_signed_encrypt_is_refused_whatever_else_it_holds() {
    let accounts = [Mode::Compat, Mode::Safe].map(Account::random);
    let ingress = Ingress::start(&accounts.each_ref()).await;
    for account in &accounts {
        let message = Message::text(USER, "hi");
        let clear = message.to_text(Format::Xml);
        let other = encrypt(&account.encoding_aes_key, b"fedcba9876543210", &clear, &account.appid);
        let bodies: [&dyn Fn(&str) -> String; 7] = [
            &|_| String::new(),
            &|_| clear.clone(),
            &|_| message.to_text(Format::Json),
            &|_| format!("<xml><Encrypt>{other}</Encrypt></xml>"),
            &|encrypt| format!("<xml><Encrypt>{}</Encrypt></xml>", &encrypt[..encrypt.len() - 4]),
            &|encrypt| format!("<xml><Encrypted>{encrypt}</Encrypted></xml>"),
            &|encrypt| format!("<xml><Encrypt>{encrypt}"),
        ];
        for (index, body) in bodies.into_iter().enumerate() {
            let answer = ingress.pushes.send(&account.appid, &push(account, &message, body)).await;
            assert_refused(&answer, 401, &format!("body {index} in {:?} mode", account.mode));
        }
    }
    ingress.stores(0).await;
}
