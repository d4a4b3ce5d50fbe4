//! Small faults in a rightly signed push: it is taken all the same, since a refusal loses the message and shows the user
//! a fault notice.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use kefu_messages::message_key::MessageKey;
use kefu_wechat::push::{Body, Content, MAX_FIELDS, Push, PushError};
use proptest::prelude::*;

fn content(body: &str) -> String {
    match Push::parse(body).map(|push| push.content) {
        Ok(Content::Text { content }) => content,
        other => panic!("{other:?}: {body:?}"),
    }
}

fn json(content: &str) -> String {
    format!(r#"{{"ToUserName":"gh_1","FromUserName":"o","MsgType":"text","MsgId":1,"Content":"{content}"}}"#)
}

fn xml(content: &str) -> String {
    format!(
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType><MsgId>1</MsgId>\
         <Content>{content}</Content></xml>"
    )
}

fn key(body: &str) -> MessageKey {
    MessageKey::of("wx1", &Push::parse(body).unwrap())
}

#[test]
fn half_a_surrogate_pair_becomes_the_replacement_character() {
    for (written, read) in [
        (r"\ud800", "\u{fffd}"),
        (r"a\uDFFFb", "a\u{fffd}b"),
        (r"\ud83d\ude00\ud83d", "😀\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83d\n客", "\u{fffd}\n客"),
        (r"\\ud800 \ud800", "\\ud800 \u{fffd}"),
    ] {
        assert_eq!(content(&json(written)), read);
    }
}

#[test]
fn control_characters_within_a_string_are_kept() {
    assert_eq!(content(&json("a\nb\tc\u{1}\0")), "a\nb\tc\u{1}\0");
    assert_eq!(content(&json("\"".replace('"', "\\\"\n").as_str())), "\"\n");
}

#[test]
fn an_escape_that_json_does_not_have_is_taken_as_it_is_written() {
    assert_eq!(content(&json(r"C:\kefu\'s \u12 \ux")), r"C:\kefu\'s \u12 \ux");
}

#[test]
fn faults_of_the_structure_are_not_mended() {
    for body in [
        r#"{"FromUserName":"o","MsgType":"text","Content":"\ud800"#,
        "{\"FromUserName\":\"o\",\"MsgType\":\"text\",\"Content\":\"a\nb",
        "{\"FromUserName\":\"o\",\"MsgType\":\"text\",\"Content\":\"a\n\" \"b\"}",
        "{\"FromUserName\":\"o\",\"FromUserName\":\"p\",\"MsgType\":\"text\",\"Content\":\"\n\"}",
    ] {
        assert!(matches!(Push::parse(body), Err(PushError::Malformed { .. })), "{body:?}");
    }
}

#[test]
fn a_reference_to_no_character_becomes_the_replacement_character() {
    for written in ["&#0;", "&#xD800;", "&#x110000;", "&#99999999999;", "&#;", "&#xzz;"] {
        assert_eq!(content(&xml(&format!("a{written}b"))), "a\u{fffd}b");
    }
    assert_eq!(content(&xml("a & b &amp; c")), "a & b & c");
}

#[test]
fn a_reference_to_an_entity_that_xml_does_not_have_is_taken_as_it_is_written() {
    for written in ["AT&T; b", "&e;", "&&nbsp;&", "a & b; c", "&\u{5ba2};"] {
        assert_eq!(content(&xml(written)), written);
    }
    assert_eq!(content(&xml("&amp;e; &lt;&T;")), "&e; <&T;");
    let defined = format!("<!DOCTYPE x [<!ENTITY e \"hi\">]>{}", xml("&e;"));
    assert_eq!(Push::parse(&defined), Err(PushError::Doctype));
}

#[test]
fn nuls_and_blanks_behind_a_body_are_no_part_of_it() {
    for end in ["\0", "\0\0\0\0", "\r\n\0", " \0 \0\n", "\u{3000}\0"] {
        assert_eq!(Push::parse(&format!("{}{end}", json("hi"))), Push::parse(&json("hi")), "{end:?}");
        assert_eq!(Push::parse(&format!("{}{end}", xml("hi"))), Push::parse(&xml("hi")), "{end:?}");
        assert_eq!(key(&format!("{}{end}", xml("hi"))), key(&xml("hi")));
        assert_eq!(Push::parse(end), Err(PushError::Empty));
    }
    assert_eq!(content(&json("hi\0 ")), "hi\0 ");
    assert_eq!(content(&xml("<![CDATA[hi\0 ]]>")), "hi\0 ");
    for within in ["\0{}", "{\0}", "<xml>\0</xml>", "<xml></xml>\0<xml></xml>"] {
        assert!(Push::parse(within).is_err(), "{within:?}");
    }
}

#[test]
fn a_create_time_is_read_as_well_as_it_can_be() {
    let cases = [
        (r#""1620973045""#, 1_620_973_045),
        (r#"" 1620973045 ""#, 1_620_973_045),
        ("1620973045.0", 1_620_973_045),
        (r#""1620973045.9""#, 1_620_973_045),
        ("1e9", 1_000_000_000),
        ("0", 0),
        ("-1", 0),
        ("-1e9", 0),
        ("1e300", 0),
        ("9223372036854775807", 0),
        ("99999999999999999999", 0),
        (r#""soon""#, 0),
        (r#""NaN""#, 0),
        (r#""""#, 0),
        ("null", 0),
        ("[1]", 0),
    ];
    for (written, read) in cases {
        let body = format!(r#"{{"FromUserName":"o","MsgType":"text","CreateTime":{written}}}"#);
        assert_eq!(Push::parse(&body).unwrap().create_time, read, "{written}");
    }
}

#[test]
fn a_byte_order_mark_may_stand_among_white_space() {
    for mark in ["\u{feff}", " \u{feff}\n", "\n\u{feff}\u{feff}"] {
        assert_eq!(content(&format!("{mark}{}", json("hi"))), "hi");
        assert_eq!(content(&format!("{mark}{}", xml("hi"))), "hi");
    }
}

#[test]
fn the_message_key_is_the_same_in_both_formats_and_for_copies() {
    assert_eq!(key(&json(r"\ud800")), key(&xml("&#xD800;")));
    let event = |time: &str| {
        [
            format!(r#"{{"FromUserName":"o","CreateTime":{time},"MsgType":"event","Event":"e","X":"a\ud800\u0001b"}}"#),
            format!(
                "<xml><FromUserName>o</FromUserName><CreateTime>{time}</CreateTime><MsgType>event</MsgType>\
                 <Event>e</Event><X><![CDATA[a]]>&#xD800;&#1;b</X></xml>"
            ),
        ]
        .map(|body| key(&body))
    };
    for time in ["1", "1.0", "1e99"] {
        let [json, xml] = event(time);
        assert_eq!(json, xml);
        assert_eq!(event(time), [json, xml]);
    }
    // Times that cannot be read are not one and the same.
    assert_ne!(event("1e98"), event("1e99"));
}

#[test]
fn a_push_of_too_many_fields_is_refused_whether_they_repeat_or_not() {
    let body = |count: usize, name: fn(usize) -> String| {
        let xml: String = (0..count).map(|number| format!("<{0}>1</{0}>", name(number))).collect();
        let json: Vec<String> = (0..count).map(|number| format!(r#""{}":1"#, name(number))).collect();
        [format!("<xml>{xml}</xml>"), format!("{{{}}}", json.join(","))]
    };
    for name in [|_| "x".to_owned(), |number| format!("x{number}")] {
        for body in body(MAX_FIELDS, name) {
            assert!(Body::parse(&body).is_ok());
        }
        for body in body(MAX_FIELDS + 1, name) {
            assert_eq!(Body::parse(&body), Err(PushError::TooManyFields));
        }
    }
}

proptest! {
    #[test]
    fn any_text_that_json_can_say_is_read_the_same_beside_a_fault(text in ".*") {
        let escaped = serde_json::to_string(&text).unwrap();
        let body = json(&format!("{}\\ud800", &escaped[1..escaped.len() - 1]));
        prop_assert_eq!(content(&body), format!("{text}\u{fffd}"));
    }

    #[test]
    fn nothing_that_can_be_in_a_string_makes_it_unreadable(text in "[a-z\\\\u0-9d客\u{0}-\u{1f}]*") {
        // A backslash at the end takes the quotation mark away.
        prop_assume!(!text.ends_with('\\'));
        prop_assert!(Push::parse(&json(&text)).is_ok());
    }
}
