//! What bodies are taken as pushes, and as which.
#![allow(missing_docs, clippy::unwrap_used)]

use kefu_messages::message_key::MessageKey;
use kefu_wechat::push::{Content, Format, Push, PushError};
use proptest::prelude::*;

const XML: &str = "<xml>\n<ToUserName><![CDATA[gh_1]]></ToUserName>\n<FromUserName><![CDATA[oUSER]]></FromUserName>\n\
    <CreateTime>1482048670</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n\
    <Content><![CDATA[ a<b & ]]]]><![CDATA[>c ]]></Content>\n<MsgId>6054768590064713728</MsgId>\n</xml>";

fn text(push: &Push) -> &str {
    match &push.content {
        Content::Text { content } => content,
        _ => "",
    }
}

fn key(body: &str) -> MessageKey {
    MessageKey::of("wx1", &Push::parse(body).unwrap())
}

#[test]
fn xml_with_cdata_line_breaks_and_a_split_section_is_read_whole() {
    let push = Push::parse(XML).unwrap();
    assert_eq!((push.format, push.to_user.as_str(), push.from_user.as_str()), (Format::Xml, "gh_1", "oUSER"));
    assert_eq!(push.create_time, 1_482_048_670);
    assert_eq!(push.msg_id.as_deref(), Some("6054768590064713728"));
    assert_eq!(text(&push), " a<b & ]]>c ");
}

#[test]
fn xml_without_cdata_is_read_with_its_entities() {
    let push = Push::parse(
        "<xml><FromUserName>oUSER</FromUserName><MsgType>text</MsgType><Content>a&lt;b &amp; &#x5ba2;</Content></xml>",
    );
    assert_eq!(text(&push.unwrap()), "a<b & 客");
}

#[test]
fn a_byte_order_mark_and_white_space_do_not_matter() {
    assert_eq!(Push::parse(&format!("\u{feff}\n {XML}\n ")).unwrap(), Push::parse(XML).unwrap());
}

#[test]
fn json_numbers_keep_every_digit() {
    for (written, read) in [
        ("9007199254740993", "9007199254740993"),
        ("184467440737095516150", "184467440737095516150"),
        ("\"49d7ab_1555684067\"", "49d7ab_1555684067"),
    ] {
        let body = format!(r#"{{"FromUserName":"o","MsgType":"text","CreateTime":"1620973045","MsgId":{written}}}"#);
        let push = Push::parse(&body).unwrap();
        assert_eq!(push.msg_id.as_deref(), Some(read));
        assert_eq!(push.create_time, 1_620_973_045);
    }
}

#[test]
fn an_unknown_type_is_kept() {
    let push = Push::parse(r#"{"FromUserName":"o","MsgType":"hologram","Depth":{"a":[1]}}"#).unwrap();
    assert_eq!((push.content.clone(), push.fields.text("Depth")), (Content::Other, Some(r#"{"a":[1]}"#)));
}

#[test]
fn a_notice_to_a_third_party_platform_is_kept() {
    let push = Push::parse("<xml><AppId>wx1</AppId><InfoType>authorized</InfoType></xml>").unwrap();
    assert_eq!((push.msg_type.as_str(), push.from_user.as_str()), ("authorized", ""));
}

#[test]
fn an_event_with_nested_fields_keeps_them_as_they_are_written() {
    let push = Push::parse(
        "<xml><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event>\
         <SubscribeMsgPopupEvent><List><TemplateId>T</TemplateId></List><List/></SubscribeMsgPopupEvent></xml>",
    )
    .unwrap();
    assert_eq!(push.event(), Some("subscribe_msg_popup_event"));
    let nested = push.fields.text("SubscribeMsgPopupEvent");
    assert_eq!(nested, Some("<List><TemplateId>T</TemplateId></List><List/>"));
}

#[test]
fn what_is_no_push_is_refused_for_what_it_is() {
    let deep_json = format!(r#"{{"a":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let deep_xml = format!("<xml>{}{}</xml>", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let doctype = r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><Content>&e;</Content></xml>"#;
    assert_eq!(Push::parse(" \n"), Err(PushError::Empty));
    assert_eq!(Push::parse("hello"), Err(PushError::UnknownFormat));
    assert_eq!(Push::parse(&deep_json), Err(PushError::TooDeep));
    assert_eq!(Push::parse(&deep_xml), Err(PushError::TooDeep));
    assert_eq!(Push::parse(doctype), Err(PushError::Doctype));
    assert_eq!(Push::parse(r#"{"MsgType":"text"}"#), Err(PushError::Missing("FromUserName")));
    assert_eq!(Push::parse(r#"{"FromUserName":"o"}"#), Err(PushError::Missing("MsgType")));
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    let json = r#"{"FromUserName":"o","MsgType":"text","Content":"客服"}"#;
    for whole in [XML, json] {
        for end in (1..whole.len()).filter(|&end| whole.is_char_boundary(end)) {
            assert!(Push::parse(&whole[..end]).is_err(), "cut at {end} it was taken: {}", &whole[..end]);
        }
    }
}

#[test]
fn a_list_of_elements_of_one_name_is_kept_whole() {
    let xml = |details: &str| format!("<xml><FromUserName>o</FromUserName><MsgType>event</MsgType>{details}</xml>");
    let push = Push::parse(&xml("<detail><a>1</a></detail><detail>2</detail>")).unwrap();
    assert_eq!(push.fields.text("detail"), Some("<a>1</a>\n2"));
    let key = |details: &str| MessageKey::of("wx1", &Push::parse(&xml(details)).unwrap());
    assert_ne!(key("<detail>1</detail><detail>2</detail>"), key("<detail>1</detail><detail>3</detail>"));
    let json = Push::parse(r#"{"FromUserName":"o","MsgType":"event","x":1,"x":2}"#).unwrap();
    assert_eq!(json.fields.text("x"), Some("1\n2"));
}

#[test]
fn a_field_that_decides_what_the_push_is_must_not_come_twice() {
    let json = r#"{"FromUserName":"o","FromUserName":"p","MsgType":"text"}"#;
    let xml = "<xml><FromUserName>o</FromUserName><FromUserName>p</FromUserName><MsgType>text</MsgType></xml>";
    assert!(matches!(Push::parse(json), Err(PushError::Malformed { .. })));
    assert!(matches!(Push::parse(xml), Err(PushError::Malformed { .. })));
}

#[test]
fn no_error_text_repeats_the_body() {
    let error = Push::parse(r#"{"FromUserName":"o","MsgType":"text","Content":"my secret" "x"}"#).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    for xml in ["<xml><Content>my secret</Contents></xml>", "<xml><a></my secret></xml>", "<xml><Content></my\nsecret"]
    {
        let error = Push::parse(xml).unwrap_err().to_string();
        assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn debug_shows_neither_text_nor_openid() {
    let push = Push::parse(
        r#"{"FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","MsgType":"text","Content":"my secret","MsgId":1}"#,
    )
    .unwrap();
    let shown = format!("{push:?} {:?}", MessageKey::of("wx1", &push));
    assert!(!shown.contains("my secret") && !shown.contains("o9AgO5Kd5ggOC"), "{shown}");
}

#[test]
fn the_message_key_tells_events_apart_that_share_sender_and_second() {
    let event = |trace: &str, retries: u32| {
        key(&format!(
            r#"{{"ToUserName":"gh","FromUserName":"platform","CreateTime":1,"MsgType":"event","Event":"wxa_media_check",
                "trace_id":"{trace}","RetryTimes":{retries}}}"#
        ))
    };
    assert_ne!(event("a", 0), event("b", 0));
    assert_eq!(event("a", 0), event("a", 1));
}

#[test]
fn the_message_key_tells_users_apart_that_share_a_msg_id() {
    let message = |user: &str, text: &str| {
        key(&format!(r#"{{"ToUserName":"gh","FromUserName":"{user}","MsgType":"text","Content":"{text}","MsgId":5}}"#))
    };
    assert_ne!(message("a", "x"), message("b", "x"));
    assert_eq!(message("a", "x"), message("a", "y"));
    assert_ne!(message("a|b", "x"), message("a%7Cb", "x"));
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_panic(body in ".{0,300}", xml in "<xml>[<>/a&;!\\[\\]CDAT -]{0,80}</xml>") {
        for text in [body.clone(), xml, format!("{{{body}")] {
            Push::parse(&text).ok();
        }
    }

    #[test]
    fn any_text_comes_through_both_formats(content in "[^\u{0}-\u{8}\u{b}-\u{1f}\u{7f}\u{fffe}\u{ffff}]{0,100}") {
        let quoted = serde_json::to_string(&content).unwrap();
        let json = Push::parse(&format!(r#"{{"FromUserName":"o","MsgType":"text","Content":{quoted}}}"#)).unwrap();
        prop_assert_eq!(text(&json), &content);
        let cdata = content.replace("]]>", "]]]]><![CDATA[>");
        let xml = Push::parse(&format!(
            "<xml><FromUserName>o</FromUserName><MsgType>text</MsgType><Content><![CDATA[{cdata}]]></Content></xml>"
        ))
        .unwrap();
        prop_assert_eq!(text(&xml), &content);
    }
}
