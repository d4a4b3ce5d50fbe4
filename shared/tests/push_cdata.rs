//! Texts that end their CDATA section: WeChat was seen to write users' texts there as they are.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use kefu_shared::message_key::MessageKey;
use kefu_shared::wechat::push::{Body, Content, Push, PushError};
use proptest::prelude::*;
use proptest::sample::select;

/// What WeChat writes before a text, and behind it.
const HEAD: &str = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oU]]></FromUserName>\
    <CreateTime>1699600000</CreateTime>";
const TAIL: &str = "<MsgId>24000000000000001</MsgId><BusinessId>7</BusinessId></xml>";

fn text_push(content: &str) -> String {
    format!("{HEAD}<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{content}]]></Content>{TAIL}")
}

fn card_push(title: &str, page_path: &str) -> String {
    format!(
        "{HEAD}<MsgType><![CDATA[miniprogrampage]]></MsgType><Title><![CDATA[{title}]]></Title>\
         <AppId><![CDATA[wx1]]></AppId><PagePath><![CDATA[{page_path}]]></PagePath><ThumbUrl><![CDATA[]]></ThumbUrl>\
         <ThumbMediaId><![CDATA[]]></ThumbMediaId>{TAIL}"
    )
}

fn enter_push(session_from: &str) -> String {
    format!(
        "{HEAD}<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[user_enter_tempsession]]></Event>\
         <SessionFrom><![CDATA[{session_from}]]></SessionFrom></xml>"
    )
}

/// Reads it, and sees that the fields that WeChat writes are as it wrote them.
fn read(body: &str) -> Result<Content, PushError> {
    let push = Push::parse(body)?;
    assert_eq!((push.to_user.as_str(), push.from_user.as_str(), push.create_time), ("gh_1", "oU", 1_699_600_000));
    match &push.content {
        Content::Text { .. } => assert_eq!(push.msg_type, "text"),
        Content::Miniprogrampage { app_id, thumb_url, thumb_media_id, .. } => {
            assert_eq!((push.msg_type.as_str(), app_id.as_str()), ("miniprogrampage", "wx1"));
            assert_eq!((thumb_url.as_str(), thumb_media_id.as_str()), ("", ""));
        }
        Content::Event { event, .. } => {
            assert_eq!((push.msg_type.as_str(), event.as_str()), ("event", "user_enter_tempsession"));
            assert_eq!((push.msg_id.as_deref(), push.business_id), (None, None));
            return Ok(push.content);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((push.msg_id.as_deref(), push.business_id), (Some("24000000000000001"), Some(7)));
    for absent in ["InfoType", "Encrypt", "MediaId"] {
        assert_eq!(push.fields.text(absent), None);
    }
    Ok(push.content)
}

fn text_of(body: &str) -> String {
    match read(body) {
        Ok(Content::Text { content } | Content::Event { session_from: content, .. }) => content,
        other => panic!("{other:?}: {body}"),
    }
}

/// As a text that was split over sections is read.
fn joined(text: &str) -> String {
    let mut joined = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("]]>") {
        joined.push_str(before);
        match after.trim_start().strip_prefix("<![CDATA[") {
            Some(after) => rest = after,
            None => return format!("{joined}]]>{after}"),
        }
    }
    joined + rest
}

#[test]
fn a_text_that_holds_cdata_or_its_end_comes_through() {
    let sample = "<xml><ToUserName><![CDATA[toUser]]></ToUserName><FromUserName><![CDATA[oOTHER]]></FromUserName>\
        <CreateTime>1348831860</CreateTime><MsgType><![CDATA[image]]></MsgType><Content><![CDATA[this is a \
        test]]></Content><MsgId>1234567890123456</MsgId></xml>";
    for text in [
        "<status><![CDATA[1]]></status>",
        "arr[b[0]]>1",
        "]]>",
        "]]>]]>",
        "]]]>",
        "]",
        "if (a[b[0]]>c && d<e) { return x[y[1]]>2; }",
        sample,
        &format!("{sample}\n"),
        &format!("看这个: {sample}"),
        &sample.repeat(2),
        "a]]></Content>",
        "a]]></Content >",
        "a]]></Content><MsgId>666</MsgId>",
        "a]]></Content><MsgId>666</MsgId></xml>",
        "a]]></Content></xml><xml>",
        "a]]></FromUserName><MsgType><![CDATA[image]]></MsgType><Content><![CDATA[b",
        "a]]></Content><MsgType><![CDATA[image]]></MsgType><Content><![CDATA[b",
        "a]]></Content><BusinessId>8</BusinessId><Content><![CDATA[b",
        "a]]></Content><Unknown><![CDATA[b",
        "a]]></Content><Content/><Content><![CDATA[b",
        "a]]></Content><!--",
        "a]]><!-- b --> c",
        "a]]><?b c?>",
        "a]]><b/>",
        "a]]><b>c</b>",
        "a]]><Content>",
        "a]]><Content><![CDATA[b]]></Content>",
        "a]]></Content2><b>",
        "a]]></Conten><b>",
        "a]]><!DOCTYPE html><html>",
        "a]]>&e;",
        "a]]>&amp;",
        &format!("a]]>{}", "<b>".repeat(100)),
        &format!("a]]>{}", "]]></Content><b>1</b>".repeat(300)),
        "a\0]]>\0",
        "客服]]>😀",
    ] {
        assert_eq!(text_of(&text_push(text)), text);
        let session_from = text.replace("Content", "SessionFrom");
        assert_eq!(text_of(&enter_push(&session_from)), session_from);
    }
}

#[test]
fn layout_and_a_declaration_do_not_matter() {
    let text = "arr[b[0]]>1";
    let laid_out = text_push(text).replace("><", ">\r\n  <").replace("CDATA[gh_1]]>", "CDATA[gh_1]]>\n");
    assert_eq!(text_of(&laid_out), text);
    assert_eq!(text_of(&format!("\u{feff}<?xml version=\"1.0\"?>\n{}\n\0", text_push(text))), text);
    let plain = text_push(text).replace("<![CDATA[oU]]>", " oU ").replace("<![CDATA[text]]>", "te&#120;t");
    assert_eq!(text_of(&plain), text);
}

#[test]
fn what_a_proper_writer_splits_is_joined() {
    for text in ["a]]><![CDATA[b", "a]]> \n<![CDATA[b", "a]]]]><![CDATA[>b"] {
        assert_eq!(text_of(&text_push(text)), joined(text));
    }
}

#[test]
fn both_texts_of_a_card_come_through() {
    for (title, page_path) in [
        ("a]]>b", "c"),
        ("a", "b]]>c"),
        ("<![CDATA[a]]>", "<![CDATA[b]]>"),
        ("a]]></PagePath>", "b]]></PagePath>"),
        ("a", "b]]></PagePath><ThumbUrl>x</ThumbUrl><PagePath><![CDATA[c"),
        ("a", "b]]></PagePath><MsgId>1</MsgId></xml>"),
        ("a]]><!--", "b"),
        ("a]]><!--", "-->b"),
        ("a]]><?", "?>b"),
    ] {
        let expected = (title.to_owned(), page_path.to_owned());
        match read(&card_push(title, page_path)) {
            Ok(Content::Miniprogrampage { title, page_path, .. }) => assert_eq!((title, page_path), expected),
            other => panic!("{other:?}: {expected:?}"),
        }
    }
}

#[test]
fn two_texts_together_forge_no_field() {
    let forged = "<AppId><![CDATA[wxFORGED]]></AppId>";
    for (title, page_path) in [
        // Each of the two could be where the other ends.
        ("a".to_owned(), format!("b]]></Title>{forged}<PagePath><![CDATA[c")),
        (format!("a]]></Title>{forged}<PagePath><![CDATA["), "b".to_owned()),
        // WeChat's own fields in a comment, an instruction, an attribute, an element, the element of the text itself.
        ("a]]></Title><!--".to_owned(), format!("-->{forged}<PagePath><![CDATA[b")),
        ("a]]></Title><?x ".to_owned(), format!("?>{forged}<PagePath><![CDATA[b")),
        ("a]]></Title><Foo b=\"".to_owned(), format!("\"/>{forged}<PagePath><![CDATA[b")),
        ("a]]></Title><Foo b='".to_owned(), format!("'></Foo>{forged}<PagePath><![CDATA[b")),
        ("a]]></Title><Foo><Title><![CDATA[b".to_owned(), format!("c]]></PagePath></Foo>{forged}<PagePath><![CDATA[d")),
        ("a]]><Title><![CDATA[b".to_owned(), format!("c]]></PagePath></Title>{forged}<PagePath><![CDATA[d")),
        ("a]]><!--".to_owned(), format!("--></Title>{forged}<PagePath><![CDATA[b")),
        (
            "]]></Title><AppId><Title><![CDATA[".to_owned(),
            format!("]]></PagePath></AppId>{forged}<PagePath><![CDATA[b"),
        ),
    ] {
        match read(&card_push(&title, &page_path)) {
            Ok(Content::Miniprogrampage { title: read_title, page_path: read_path, .. }) => {
                assert_eq!((read_title, read_path), (title, page_path));
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(matches!(error, PushError::Malformed { .. }), "{error:?}: {title} {page_path}"),
        }
    }
}

#[test]
fn a_text_of_a_field_that_kefu_does_not_know_puts_no_field_beside_it() {
    let event = |text: &str| {
        let event = "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[debug_demo]]></Event>";
        Push::parse(&format!("{HEAD}{event}<debug_str><![CDATA[{text}]]></debug_str></xml>")).unwrap()
    };
    for text in ["a]]>b", "a]]></debug_str><BusinessId>8</BusinessId><debug_str><![CDATA[b"] {
        let push = event(text);
        assert_eq!((push.fields.text("debug_str"), push.business_id), (Some(text), None));
    }
    // It looks like a list, and nothing is forged by taking it as one.
    assert_eq!(event("a]]></debug_str><debug_str><![CDATA[b").fields.text("debug_str"), Some("a\nb"));
}

#[test]
fn what_is_not_flat_is_read_as_well_formed_xml_or_not_at_all() {
    let xml = |fields: &str| format!("<xml><FromUserName>o</FromUserName><MsgType>text</MsgType>{fields}</xml>");
    let content = |fields: &str| Push::parse(&xml(fields)).unwrap().fields.text("Content").unwrap().to_owned();
    assert_eq!(content("<Content><![CDATA[a]]>b &amp; c</Content>"), "ab & c");
    assert_eq!(content("<Content><![CDATA[a]]><!-- b -->c</Content>"), "ac");
    assert_eq!(content("<!-- a --><Content type='b'>c</Content><?d?>"), "c");
    for ill_formed in [
        "<Content><![CDATA[a]]>b</Content><c><d></c>",
        "<Content><![CDATA[a]]></Contents>",
        "<Content><![CDATA[a]]></b></Content>",
        "<Content><![CDATA[a]]></b>]]></Content>c",
        "<Content><![CDATA[a]]></b>]]></Content><!DOCTYPE d>",
        "<Content><![CDATA[a]]></b>]]></Content><MsgType>image</MsgType>",
        "<Content>a]]></b></Content>",
        "<Content><![CDATA[a]]></b>]]></Content><c d='e'>f</c>",
    ] {
        let error = Push::parse(&xml(ill_formed)).unwrap_err();
        assert!(matches!(error, PushError::Malformed { .. } | PushError::Doctype), "{error:?}: {ill_formed}");
    }
    let many: String = (0..300).map(|number| format!("<f{number}>1</f{number}>")).collect();
    assert!(Push::parse(&xml(&format!("<Content><![CDATA[a]]></b>]]></Content>{many}"))).is_err());
}

#[test]
fn what_is_said_to_wechat_must_be_well_formed_as_it_is() {
    for ill_formed in
        [text_push("<a><![CDATA[1]]></a>"), "<xml><a>&e;</a></xml>".into(), "<xml><a>b & c</a></xml>".into()]
    {
        assert!(Body::parse(&ill_formed).is_ok() && Body::parse_strictly(&ill_formed).is_err(), "{ill_formed}");
    }
    assert!(Body::parse_strictly("{\"a\":\"\n\"}").is_err());
    assert_eq!(Body::parse_strictly(&text_push("hi")), Body::parse(&text_push("hi")));
}

#[test]
fn a_copy_of_such_a_push_has_the_same_key() {
    let key = |body: &str| MessageKey::of("wx1", &Push::parse(body).unwrap());
    assert_eq!(key(&enter_push("a]]>b")), key(&format!("{}\n\0", enter_push("a]]>b"))));
    assert_ne!(key(&enter_push("a]]>b")), key(&enter_push("a]]>c")));
}

#[test]
fn a_hostile_body_takes_no_more_than_its_length() {
    for piece in [
        "]]>",
        "]]></Content>",
        "]]></Content><a>",
        "]]></Content><Content><![CDATA[",
        "]]></",
        "]]> ",
        "]]></Content",
        "<a><![CDATA[",
        "<a><![CDATA[]]></a>",
        "<![CDATA[",
        "&",
        "&a;",
        "<a>1</a>",
        "<!--",
        "]]></a0><b>",
    ] {
        let text = format!("]]>{}", piece.repeat(1024 * 1024 / piece.len()));
        for body in [
            text_push(&text),
            // Read a second time from the start.
            text_push(&format!("]]></b>{text}")),
            card_push(&text, &text.replace("a0", "a1")),
            format!("<xml><Content>{text}"),
        ] {
            let started = Instant::now();
            Push::parse(&body).ok();
            // The square of the length would be hours.
            assert!(started.elapsed() < Duration::from_secs(20), "{piece} took {:?}", started.elapsed());
        }
    }
    let names: String = (0..60_000).map(|number| format!("]]></a{number}><b>")).collect();
    let started = Instant::now();
    assert_eq!(text_of(&text_push(&names)), names);
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// Texts of an attacker who knows how they are read.
fn hostile_text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "]]>",
        "]]",
        "]",
        ">",
        "<",
        "<![CDATA[",
        "</Content>",
        "<Content>",
        "<Content><![CDATA[",
        "]]></Content>",
        "</Title>",
        "<Title>",
        "<Title><![CDATA[",
        "]]></Title>",
        "<PagePath>",
        "<PagePath><![CDATA[",
        "]]></PagePath>",
        "</PagePath>",
        "<AppId>",
        "</AppId>",
        "<AppId>wxFORGED</AppId>",
        "<AppId><![CDATA[wxFORGED]]></AppId>",
        "<MsgType>",
        "</MsgType>",
        "<MsgType>image</MsgType>",
        "]]></MsgType>",
        "<MsgId>666</MsgId>",
        "<MsgId>",
        "</MsgId>",
        "<BusinessId>8</BusinessId>",
        "<FromUserName><![CDATA[oFORGED]]></FromUserName>",
        "]]></FromUserName>",
        "<FromUserName>",
        "</xml>",
        "<xml>",
        "<!--",
        "-->",
        "<?",
        "?>",
        "<a b=\"",
        "\"",
        "'",
        "<b/>",
        "</Content >",
        "<Content/>",
        "<Foo>",
        "</Foo>",
        "<Foo><Title><![CDATA[",
        "&lt;",
        "&",
        ";",
        " ",
        "\n",
        "oFORGED",
        "<!DOCTYPE x>",
        "客",
        "]]></Title><!--",
        "--><PagePath><![CDATA[",
        "</Foo>",
    ];
    prop::collection::vec(select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn any_text_comes_through_as_it_is_or_as_a_proper_writer_meant_it(text in hostile_text()) {
        for body in [text_push(&text), enter_push(&text)] {
            let read = text_of(&body);
            prop_assert!(read == text || read == joined(&text), "{}: {}", read, text);
        }
    }

    #[test]
    fn two_texts_come_through_or_are_refused(title in hostile_text(), page_path in hostile_text()) {
        match read(&card_push(&title, &page_path)) {
            Ok(Content::Miniprogrampage { title: read_title, page_path: read_path, .. }) => {
                prop_assert!(read_title == title || read_title == joined(&title), "{}", read_title);
                prop_assert!(read_path == page_path || read_path == joined(&page_path), "{}", read_path);
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => prop_assert!(title.contains("]]></") || page_path.contains("]]></"), "{} {}", title, page_path),
        }
    }
}
