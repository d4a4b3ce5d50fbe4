//! Bodies that are no pushes.

use base64::prelude::{BASE64_STANDARD, Engine};
use kefu_harness::wechat::{self, Format, Message, Mode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::trifles::envelopes;
use super::{Ingress, USER, assert_refused, assert_success};

fn texts_that_are_no_push() -> Vec<(&'static str, String)> {
    let doctype = r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>"#;
    let laughs = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>"#;
    let fields = "<FromUserName>o</FromUserName><MsgType>text</MsgType>";
    vec![
        ("empty", String::new()),
        ("white space", " \r\n ".to_owned()),
        ("neither XML nor JSON", "ToUserName=gh_1".to_owned()),
        ("truncated XML", format!("<xml>{fields}<Content><![CDATA[hi")),
        ("XML without its end", format!("<xml>{fields}")),
        ("crossed tags", "<xml><a><b></a></b></xml>".to_owned()),
        ("truncated JSON", r#"{"FromUserName":"o","MsgType":"te"#.to_owned()),
        ("JSON with a tail", r#"{"FromUserName":"o","MsgType":"text"} {}"#.to_owned()),
        ("a JSON array", r#"[{"FromUserName":"o","MsgType":"text"}]"#.to_owned()),
        ("DOCTYPE", format!("{doctype}<xml>{fields}<Content>&e;</Content></xml>")),
        ("nested entities", format!("{laughs}<xml>{fields}<Content>&b;</Content></xml>")),
        ("10,000 levels of XML", format!("<xml>{fields}{}{}</xml>", "<a>".repeat(10_000), "</a>".repeat(10_000))),
        (
            "10,000 levels of JSON",
            format!(r#"{{"FromUserName":"o","a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)),
        ),
        ("no FromUserName", Message::text(USER, "hi").without("FromUserName").to_text(Format::Xml)),
        ("an empty FromUserName", Message::text(USER, "hi").text_field("FromUserName", "").to_text(Format::Json)),
        ("no MsgType", Message::text(USER, "hi").without("MsgType").to_text(Format::Json)),
        (
            "257 fields",
            (0..257).fold(Message::text(USER, "hi"), |m, n| m.text_field(&format!("f{n}"), "")).to_text(Format::Xml),
        ),
    ]
}

/// What cannot be WeChat's by its first character.
fn is_neither_xml_nor_json(text: &str) -> bool {
    !text.trim_start().starts_with(['<', '{', '['])
}

#[tokio::test]
async fn an_authentic_body_that_is_no_push_is_kept_and_the_service_stays_up() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    let mut kept = Vec::new();
    for account in &accounts {
        for (case, text) in texts_that_are_no_push() {
            let answer = ingress.pushes.send(&account.appid, &account.push_raw(Format::Xml, &text)).await;
            let case = format!("{case} in {:?} mode", account.mode);
            // There the signature does not cover the body.
            if account.mode == Mode::Plain && (is_neither_xml_nor_json(&text) || text.len() >= 64 * 1024) {
                assert_refused(&answer, 400, &case);
            } else {
                assert_success(&answer, &case);
                kept.push((account.appid.clone(), text));
            }
        }
        assert_success(
            &ingress.pushes.push(account, Format::Xml, &Message::text(USER, "hi")).await,
            "a good one after it",
        );
    }
    ingress.is_up().await;
    ingress.unreadable.set(kept.len().try_into().unwrap());
    let envelopes = envelopes(&ingress, kept.len() + 3).await;
    for (appid, text) in kept {
        let (bytes, digest) = (BASE64_STANDARD.encode(&text), hex::encode(Sha256::digest(&text)));
        let is_it = |envelope: &&Value| envelope["account"] == appid && envelope["unreadable"]["bytes"] == bytes;
        let envelope = envelopes.iter().find(is_it).unwrap_or_else(|| panic!("{text:.100} is not kept"));
        assert_eq!((&envelope["v"], &envelope["raw"]), (&3.into(), &"".into()));
        assert_eq!(envelope["key"], format!("{appid}|kefu_unreadable|{digest}"));
        assert_eq!(
            (&envelope["push"]["from_user"], &envelope["push"]["msg_type"]),
            (&"".into(), &"kefu_unreadable".into())
        );
        // Bounded: nothing was expanded.
        assert!(envelope.to_string().len() < bytes.len() + 1_000);
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        let push = account.push(Format::Json, &Message::text(USER, "hi"));
        let large = push.clone().with_body(vec![b' '; 1024 * 1024 + 1]);
        // The connection may be closed while the body is still being written: no answer is an answer then.
        if let Ok(answer) = ingress.pushes.try_send(&account.appid, &large).await {
            assert_refused(&answer, 413, "too large");
        }
        assert_success(&ingress.pushes.send(&account.appid, &push).await, "a good one after it");
    }
    ingress.stores(3).await;
    let refused = ingress.program.metric(r#"kefu_ingress_answers_total{kind="push",outcome="too_large"}"#).await;
    assert_eq!(refused, 3.0);
}

#[tokio::test]
async fn the_log_repeats_nothing_of_what_is_refused_or_unreadable() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    let marked = |text: &str| text.replace('@', "oSECRET\\n\r\n\u{1b}[31m");
    let bodies = [
        r#"{"FromUserName":"@","MsgType":"text","Content":"@" "@":1}"#,
        r#"{"FromUserName":"@","@":"@","Content":"@"}"#,
        r#"{"FromUserName":"@","FromUserName":"@"}"#,
        "<xml><FromUserName>@</FromUserName><@>@</xml>",
        "<xml><FromUserName>@</FromUserName><Content>&@;</Content></xml>",
        "<xml><Content a='@></Content></@></xml>",
        "@",
    ]
    .map(marked);
    for account in &accounts {
        for body in &bodies {
            let answer = ingress.pushes.send(&account.appid, &account.push_raw(Format::Json, body)).await;
            if account.mode == Mode::Plain && is_neither_xml_nor_json(body) {
                assert_refused(&answer, 400, body);
            } else {
                assert_success(&answer, body);
            }
        }
        let forged = account.push_raw(Format::Json, &bodies[0]).with_parameter("timestamp", "oSECRET\n");
        assert_refused(&ingress.pushes.send(&account.appid, &forged).await, 401, "forged");
        for path in ["oSECRET", "wx1%0AoSECRET", "%1b[31moSECRET"] {
            assert_refused(&ingress.pushes.send(path, &forged).await, 404, path);
        }
    }
    let log = ingress.program.output();
    assert!(log.contains("(not an appid)") && !log.contains("SECRET"), "{log}");
    let told = log.lines().filter(|line| line.contains("cannot read an authentic push, and keeps the push")).count();
    assert_eq!(told, 3 * bodies.len() - 1, "a line for each that is kept");
    ingress.unreadable.set(told.try_into().unwrap());
    assert!(!log.contains(&BASE64_STANDARD.encode("SECRET")[..8]), "{log}");
    assert!(!log.contains(['\u{1b}', '\r']), "{log}");
}

#[tokio::test]
async fn odd_values_that_wechat_sends_are_taken() {
    let (ingress, account) = Ingress::in_mode(Mode::Safe).await;
    let text = || Message::text(USER, "hi");
    let number = |digits: &str| wechat::Value::Number(digits.to_owned());
    let cases = [
        ("a MsgId above 2^53", text().with("MsgId", number("9007199254740993"))),
        ("one more than that", text().with("MsgId", number("9007199254740994"))),
        ("a MsgId above 2^64", text().with("MsgId", number("184467440737095516150"))),
        ("a MsgId that is a string", text().text_field("MsgId", "49d7ab_1555684067")),
        ("a CreateTime that is a string", text().text_field("CreateTime", "1620973045")),
        ("an unknown type", Message::of_type(USER, "hologram").text_field("Depth", "9").with_fresh_msg_id()),
        ("an unknown event", Message::event(USER, "some_new_event").text_field("x", "y")),
        ("a text with everything XML dislikes", Message::text(USER, "]]> <xml> & &amp; \" ' \n 😀")),
    ];
    let count = 2 * cases.len() as u64;
    for (case, message) in cases {
        for format in Format::ALL {
            // The same MsgId twice would be a copy.
            let message = match format {
                Format::Xml => message.clone(),
                Format::Json => message.clone().text_field("FromUserName", "oANOTHER"),
            };
            assert_success(&ingress.pushes.push(&account, format, &message).await, case);
        }
    }
    ingress.stores(count).await;
}
