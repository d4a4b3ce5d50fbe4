//! Texts of an attacker who knows how they are read.

use std::time::{Duration, Instant};

use kefu_wechat::push::{Content, Push};
use proptest::prelude::*;
use proptest::sample::select;

use crate::bodies::{card_push, enter_push, joined, read, text_of, text_push};

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
    // Blanks, and then sections: whether the text is blank so far is not asked at each.
    let blanks = format!("{}]]>{}<![CDATA[", " ".repeat(500_000), "<![CDATA[]]>".repeat(40_000));
    let started = Instant::now();
    Push::parse(&text_push(&blanks)).ok();
    assert!(started.elapsed() < Duration::from_secs(20), "many sections took {:?}", started.elapsed());
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
