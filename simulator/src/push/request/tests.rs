use kefu_wechat::push::{Body, Content, Push as ParsedPush, ciphertexts};
use serde_json::json;

use super::*;

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn account() -> SimulatedAccount {
    serde_json::from_value(json!({
        "appid": "wxba5fad812f8e6fb9", "secret": "s", "token": "AAAAA", "raw_id": "gh_97417a04a28d",
        "encoding_aes_key": KEY
    }))
    .unwrap()
}

fn text_push() -> Push {
    Push {
        user: "oUSER".to_owned(),
        create_time: 1_482_048_670,
        msg_id: Some(MsgId::Number(23_637_352_235_060_880)),
        message: Message::text("hi"),
        cdata: Cdata::Split,
        format: Format::Json,
        mode: Mode::Plain,
        account: account(),
    }
}

fn build(push: &Push, format: Format, mode: Mode) -> SignedRequest {
    let push = Push { format, mode, ..push.clone() };
    push.build(1_714_112_445, "415670741", *b"a8eedb185eb2fecf").unwrap()
}

#[test]
fn a_plain_text_has_the_documented_fields_in_their_order() {
    assert_eq!(
        build(&text_push(), Format::Json, Mode::Plain).body,
        r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"oUSER","CreateTime":1482048670,"MsgType":"text","Content":"hi","MsgId":23637352235060880}"#
    );
    assert_eq!(
        build(&text_push(), Format::Xml, Mode::Plain).body,
        "<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName><FromUserName><![CDATA[oUSER]]></FromUserName>\
         <CreateTime>1482048670</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content>\
         <MsgId>23637352235060880</MsgId></xml>"
    );
}

#[test]
fn a_safe_push_equals_the_official_example() {
    // The example of the official page: event debug_demo, its random prefix, timestamp and nonce.
    let message = Message::Raw {
        text: r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}"#.to_owned(),
    };
    let push = Push { user: "o9AgO5Kd5ggOC-bXrbNODIiE3bGY".to_owned(), message, ..text_push() };
    let request = build(&push, Format::Json, Mode::Safe);
    let parameter = |name: &str| request.query.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    assert_eq!(parameter("signature"), "6c5c811b55cc85e0e1b54100749188c20beb3f5d");
    assert_eq!(parameter("msg_signature"), "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3");
    assert_eq!(parameter("encrypt_type"), "aes");
    assert!(
        request.body.starts_with(r#"{"ToUserName":"gh_97417a04a28d","Encrypt":"+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FC"#)
    );
}

#[test]
fn compat_carries_the_fields_in_clear_and_the_same_encrypted() {
    for format in [Format::Xml, Format::Json] {
        let body = Body::parse(&build(&text_push(), format, Mode::Compat).body).unwrap();
        let decrypted = EncodingAesKey::parse(KEY).unwrap().decrypt(body.encrypt().unwrap(), &account().appid).unwrap();
        assert_eq!(decrypted, Push { format, ..text_push() }.text());
        assert_eq!(body.fields.text("Content"), Some("hi"));
    }
}

#[test]
fn what_a_user_writes_survives_both_formats() {
    let content = "a ]]> <b> & \"c\" \n😀 你好".to_owned();
    let push = Push { message: Message::text(&content), ..text_push() };
    for format in [Format::Xml, Format::Json] {
        let parsed = ParsedPush::parse(&build(&push, format, Mode::Plain).body).unwrap();
        assert_eq!(parsed.content, Content::Text { content: content.clone() });
        assert_eq!(parsed.msg_id.as_deref(), Some("23637352235060880"));
    }
}

#[test]
fn a_text_can_stand_in_its_section_as_it_is() {
    let push = Push { message: Message::text("arr[b[0]]>1"), cdata: Cdata::AsItIs, ..text_push() };
    let body = build(&push, Format::Xml, Mode::Plain).body;
    assert!(body.contains("<Content><![CDATA[arr[b[0]]>1]]></Content>"), "{body}");
    let body = build(&push, Format::Json, Mode::Plain).body;
    assert!(body.contains(r#""Content":"arr[b[0]]>1""#), "{body}");
}

#[test]
fn a_raw_text_has_its_ciphertext_beside_it_in_compat_mode_whatever_it_is() {
    for (text, format) in [("<xml><cut", Format::Xml), ("{\"cut", Format::Json), ("", Format::Xml)] {
        let push = Push { message: Message::Raw { text: text.to_owned() }, ..text_push() };
        let body = build(&push, format, Mode::Compat).body;
        let decrypted = EncodingAesKey::parse(KEY).unwrap().decrypt(&ciphertexts(&body)[0], &account().appid);
        assert!(body.starts_with(text) && decrypted.as_deref() == Ok(text), "{body}");
    }
}

#[test]
fn an_event_can_have_any_fields_and_nothing_else() {
    let fields = json!({ "List": [{ "TemplateId": "T" }, { "TemplateId": "U" }], "CreateTime": "1620973045" });
    let fields = fields.as_object().unwrap().clone();
    let message = Message::Event { event: "subscribe_msg_popup_event".to_owned(), fields };
    let push = Push { msg_id: None, message, ..text_push() };
    let xml = build(&push, Format::Xml, Mode::Plain).body;
    assert!(
        xml.contains("<List><TemplateId><![CDATA[T]]></TemplateId></List><List><TemplateId><![CDATA[U]]>"),
        "{xml}"
    );
    assert!(xml.contains("<CreateTime><![CDATA[1620973045]]></CreateTime>"), "{xml}");
    assert!(!xml.contains("MsgId"));
}

#[test]
fn encryption_without_a_key_is_refused() {
    let keyless = SimulatedAccount { encoding_aes_key: None, ..account() };
    let build = |mode| Push { account: keyless.clone(), mode, ..text_push() }.build(1, "2", [0; 16]);
    assert_eq!(build(Mode::Safe), Err(BuildError::NoKey));
    assert!(build(Mode::Plain).is_ok());
}
