//! Pushes as the harness builds them, and answers as it reads them.

use kefu_harness::wechat::cipher::{decrypt, encrypt};
use kefu_harness::wechat::{Account, Answer, Client, Format, Message, Mode, OpenError, kinds, signature};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const USER: &str = "oUSER0123456789abcdefghijkl";

#[test]
fn a_push_carries_what_its_mode_asks_for_and_no_more() {
    for format in Format::ALL {
        for (kind, message) in kinds(USER) {
            let text = message.to_text(format);
            for mode in Mode::ALL {
                let account = Account::random(mode);
                let push = account.push(format, &message);
                let body = String::from_utf8(push.body.clone()).unwrap();
                let parameter = |name| push.parameter(name).unwrap_or_default();
                let signed = signature(&[&account.token, parameter("timestamp"), parameter("nonce")]);
                assert_eq!(parameter("signature"), signed, "{kind}");
                assert_eq!(
                    body.contains("FromUserName"),
                    mode != Mode::Safe && text.contains("FromUserName"),
                    "{kind}"
                );
                assert_eq!(body.contains("Encrypt"), mode != Mode::Plain, "{kind}");
                assert_eq!(push.parameter("encrypt_type").is_some(), mode != Mode::Plain, "{kind}");
                if mode == Mode::Plain {
                    assert_eq!(body, text, "{kind}");
                } else {
                    let field = between(&body, format);
                    assert_eq!(decrypt(&account.encoding_aes_key, field).unwrap().message, text, "{kind}");
                    let signed = signature(&[&account.token, parameter("timestamp"), parameter("nonce"), field]);
                    assert_eq!(parameter("msg_signature"), signed, "{kind}");
                }
            }
        }
    }
}

/// The `Encrypt` field.
fn between(body: &str, format: Format) -> &str {
    let (start, end) = match format {
        Format::Xml => ("<Encrypt><![CDATA[", "]]></Encrypt>"),
        Format::Json => ("\"Encrypt\":\"", "\""),
    };
    body.split_once(start).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn every_kind_is_json_that_others_can_read() {
    for (kind, message) in kinds(USER) {
        let json = serde_json::from_str::<serde_json::Value>(&message.to_text(Format::Json));
        assert!(json.is_ok(), "{kind}: {json:?}");
    }
}

#[test]
fn a_field_is_set_in_its_place_and_left_out_when_told() {
    let message = Message::event("oUSER", "e").number_field("CreateTime", 7).without("ToUserName");
    let json = r#"{"FromUserName":"oUSER","CreateTime":7,"MsgType":"event","Event":"e"}"#;
    assert_eq!(message.to_text(Format::Json), json);
    let text = Message::empty().text_field("Content", "a]]>b");
    assert_eq!(text.to_text(Format::Xml), "<xml><Content><![CDATA[a]]]]><![CDATA[>b]]></Content></xml>");
}

#[test]
fn an_encrypted_answer_is_opened_by_its_account_only() {
    let account = Account::random(Mode::Safe);
    let sealed = encrypt(&account.encoding_aes_key, b"0123456789abcdef", "<xml>transfer</xml>", &account.appid);
    let signed = signature(&[&account.token, "1713424427", "415670741", &sealed]);
    let xml = format!(
        "<xml><Encrypt><![CDATA[{sealed}]]></Encrypt><MsgSignature><![CDATA[{signed}]]></MsgSignature>\
         <TimeStamp>1713424427</TimeStamp><Nonce><![CDATA[415670741]]></Nonce></xml>"
    );
    let json =
        format!(r#"{{"Encrypt":"{sealed}","MsgSignature":"{signed}","TimeStamp":1713424427,"Nonce":"415670741"}}"#);
    let answer =
        |body: &str| Answer { status: 200, content_type: None, body: body.to_owned(), duration: Default::default() };
    for body in [&xml, &json] {
        assert_eq!(answer(body).open(&account).unwrap(), "<xml>transfer</xml>");
        let stranger = Account { token: "other".to_owned(), ..account.clone() };
        assert_eq!(answer(body).open(&stranger), Err(OpenError::Signature));
        let other = Account { appid: "wx1".to_owned(), ..account.clone() };
        assert_eq!(answer(body).open(&other), Err(OpenError::Appid(account.appid.clone())));
    }
    assert_eq!(answer("success").open(&account), Err(OpenError::Missing("Encrypt")));
}

#[tokio::test]
async fn the_client_sends_the_request_as_built_and_tells_the_whole_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
    let account = Account::random(Mode::Plain);
    let push = account.push(Format::Json, &Message::text(USER, "hi")).with_parameter("nonce", "a+b &=");
    let served = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(&push.body) {
            assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0, "the request is cut short");
        }
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nwait";
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    };
    let (answer, request) = tokio::join!(client.send(&account.appid, &push), served);
    let first = request.lines().next().unwrap();
    assert!(first.starts_with(&format!("POST /push/{}?signature=", account.appid)), "{first}");
    assert!(first.contains("&nonce=a%2Bb+%26%3D"), "{first}");
    assert!(request.to_lowercase().contains("content-type: application/json\r\n"), "{request}");
    assert_eq!(
        (answer.status, answer.content_type.as_deref(), answer.body.as_str()),
        (503, Some("text/plain"), "wait")
    );
    assert!(!answer.is_success());
}
