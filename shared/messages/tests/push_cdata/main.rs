//! Texts that end their CDATA section: WeChat was seen to write users' texts there as they are.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use kefu_messages::message_key::MessageKey;
use kefu_wechat::push::{Body, Content, Push, PushError};

mod bodies;
mod hostile;

use bodies::{HEAD, card_push, enter_push, joined, read, text_of, text_push};

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
