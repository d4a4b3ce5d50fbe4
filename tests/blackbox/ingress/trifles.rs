//! Rightly signed pushes with small faults: taken, since WeChat's user would see a refusal, and the message be lost.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::select_all;
use kefu_harness::wechat::cipher::{encrypt_raw, pad};
use kefu_harness::wechat::{Account, Format, Message, Mode, PushRequest};
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use tokio::time::timeout;

use super::{Ingress, USER, assert_refused, assert_success};

const RANDOM: &[u8; 16] = b"0123456789abcdef";

/// What a user's text is in the push, byte by byte, and what it is read as.
fn texts() -> Vec<(&'static str, Format, &'static [u8], &'static str)> {
    use Format::{Json, Xml};
    vec![
        ("half a surrogate pair", Json, br"a\ud83db", "a\u{fffd}b"),
        ("a line break and a tab", Json, b"a\nb\tc", "a\nb\tc"),
        ("a control character", Json, b"a\x01b", "a\u{1}b"),
        ("a byte that is not UTF-8", Json, b"a\xffb", "a\u{fffd}b"),
        ("a cut character", Json, b"a\xe5\xae", "a\u{fffd}"),
        ("a byte that is not UTF-8", Xml, b"<![CDATA[a\xffb]]>", "a\u{fffd}b"),
        ("references to no character", Xml, b"a&#0;b&#xD800;c", "a\u{fffd}b\u{fffd}c"),
        ("an ampersand", Xml, b"a & b", "a & b"),
        ("an ampersand and a semicolon", Xml, b"AT&T; &e;", "AT&T; &e;"),
        ("a CDATA section", Xml, b"<![CDATA[<status><![CDATA[1]]></status>]]>", "<status><![CDATA[1]]></status>"),
        ("the end of one", Xml, b"<![CDATA[arr[b[0]]>1]]>", "arr[b[0]]>1"),
        (
            "a field beside it",
            Xml,
            b"<![CDATA[a]]></Content><BusinessId>8</BusinessId><Content><![CDATA[b]]>",
            "a]]></Content><BusinessId>8</BusinessId><Content><![CDATA[b",
        ),
        ("a DOCTYPE", Xml, b"<![CDATA[a]]><!DOCTYPE html>]]>", "a]]><!DOCTYPE html>"),
    ]
}

/// A push of these bytes, encrypted or not, rightly signed.
fn push(account: &Account, format: Format, message: &[u8]) -> PushRequest {
    if account.mode == Mode::Plain {
        return account.push_raw(format, "").with_body(message.to_vec());
    }
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [RANDOM.as_slice(), &length, message, account.appid.as_bytes()].concat();
    account.push_ciphertext(format, &encrypt_raw(&account.encoding_aes_key, &pad(framed)))
}

/// A user's text, with these bytes in the place of its content.
fn text(format: Format, content: &[u8]) -> (String, Vec<u8>) {
    let message = Message::text(USER, "@");
    // The first field is none that kefu names, so the envelope has the text as it came.
    let (written, mark) = match format {
        Format::Xml => (message.to_text(format).replacen("<xml>", "<xml><New>1</New>", 1), "<![CDATA[@]]>"),
        Format::Json => (message.to_text(format).replacen('{', "{\"New\":1,", 1), "@"),
    };
    let (before, after) = written.split_once(mark).unwrap();
    (message.field("MsgId").unwrap().to_owned(), [before.as_bytes(), content, after.as_bytes()].concat())
}

/// Takes so many messages off the queue.
pub(super) async fn envelopes(ingress: &Ingress, count: usize) -> Vec<Value> {
    let mut left = count;
    envelopes_until(ingress, Duration::from_secs(20), |_| {
        left -= 1;
        left == 0
    })
    .await
}

/// Takes messages off the queue until one is the last.
pub(super) async fn envelopes_until(
    ingress: &Ingress,
    within: Duration,
    mut is_last: impl FnMut(&Value) -> bool,
) -> Vec<Value> {
    let connection = Connection::connect(&ingress.vhost.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut consumers = Vec::new();
    for partition in 0..4 {
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let queue = format!("kefu.in.p0{partition}");
        consumers.push(channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.unwrap());
    }
    let mut deliveries = select_all(consumers);
    let mut taken: Vec<Value> = Vec::new();
    let all = async {
        loop {
            let delivery = deliveries.next().await.expect("the consumers are open").unwrap();
            let envelope: Value = serde_json::from_slice(&delivery.data).unwrap();
            let ends = is_last(&envelope);
            taken.push(envelope);
            if ends {
                return;
            }
        }
    };
    if timeout(within, all).await.is_err() {
        panic!("not all are on the queue within {within:?}: {} are", taken.len());
    }
    taken
}

#[tokio::test]
async fn faults_within_a_text_are_mended_and_the_copy_of_a_push_stays_one() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    let mut expected = Vec::new();
    for account in &accounts {
        for (case, format, content, read) in texts() {
            let (msg_id, message) = text(format, content);
            let marked = [b"\xef\xbb\xbf \r\n", message.as_slice()].concat();
            let ended = [message.as_slice(), b"\0\r\n\0\0"].concat();
            for message in [&message, &message, &marked, &ended] {
                let answer = ingress.pushes.send(&account.appid, &push(account, format, message)).await;
                assert_success(&answer, &format!("{case}, {format:?}, {:?}", account.mode));
            }
            expected.push((msg_id, read, String::from_utf8_lossy(&message).into_owned()));
        }
    }
    let envelopes = envelopes(&ingress, expected.len()).await;
    for (msg_id, read, raw) in expected {
        let envelope = envelopes.iter().find(|envelope| envelope["push"]["msg_id"] == *msg_id).unwrap();
        assert_eq!(envelope["push"]["content"]["content"], *read);
        assert_eq!(envelope["push"]["business_id"], Value::Null);
        assert_eq!(envelope["raw"], raw);
    }
    ingress.stores(0).await;
}

#[tokio::test]
async fn nuls_and_blanks_behind_a_body_do_not_matter() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        for format in Format::ALL {
            for end in ["\0", "\r\n", "\n\0\0 \0"] {
                let mut request = account.push(format, &Message::text(USER, "hi"));
                request.body.extend(end.as_bytes());
                let case = format!("{end:?} behind {format:?} in {:?} mode", account.mode);
                assert_success(&ingress.pushes.send(&account.appid, &request).await, &case);
            }
        }
    }
    ingress.stores(18).await;
}

#[tokio::test]
async fn a_create_time_that_cannot_be_read_does_not_lose_the_message() {
    let (ingress, account) = Ingress::in_mode(Mode::Safe).await;
    let times = ["soon", "1.0", "1e9", " 1620973045 ", "-1", "99999999999999999999", ""];
    for time in times {
        for format in Format::ALL {
            // Without a MsgId the time is part of what tells two pushes apart.
            let event = Message::enter_tempsession(&format!("o{format:?}"), "x").text_field("CreateTime", time);
            for _ in 0..2 {
                assert_success(&ingress.pushes.push(&account, format, &event).await, time);
            }
        }
    }
    ingress.stores(2 * times.len() as u64).await;
}

#[tokio::test]
async fn a_fault_of_the_structure_costs_the_message_only_where_nobody_can_tell_whose_it_is() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        for message in [b"\xff{\"FromUserName\":\"o\",\"MsgType\":\"text\"}".as_slice(), b"\xff\xfe", b"<xml>&e;</xml>"]
        {
            let answer = ingress.pushes.send(&account.appid, &push(account, Format::Json, message)).await;
            if account.mode == Mode::Plain && message[0] != b'<' {
                assert_refused(&answer, 400, "no structure, perhaps a stranger's");
            } else {
                assert_success(&answer, "no structure, and WeChat's");
            }
        }
    }
    ingress.stores(7).await;
    ingress.unreadable.set(7);
}
