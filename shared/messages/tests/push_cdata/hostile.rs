//! Texts of an attacker who knows how they are read.

use std::time::{Duration, Instant};

use kefu_wechat::push::{Content, Push};
use proptest::prelude::*;
use proptest::sample::select;

use crate::bodies::{card_push, enter_push, joined, read, text_of, text_push};

/// Reads a body, and sees that this does not take the square of its length, which would be hours.
fn takes_no_more_than_its_length(body: &str) {
    let started = Instant::now();
    Push::parse(body).ok();
    let beginning: String = body.chars().take(300).collect();
    assert!(started.elapsed() < Duration::from_secs(20), "{beginning} took {:?}", started.elapsed());
}

/// Makes a body of each hostile text of a mebibyte, and reads it.
fn of_each_hostile_text(body: impl Fn(&str) -> String) {
    const WITHOUT_BLANKS: &str = "
        ]]> ]]></Content> ]]></Content><a> ]]></Content><Content><![CDATA[ ]]></ ]]></Content <a><![CDATA[
        <a><![CDATA[]]></a> <![CDATA[ & &a; <a>1</a> <!-- ]]></a0><b>
    ";
    for piece in WITHOUT_BLANKS.split_whitespace().chain(["]]> "]) {
        takes_no_more_than_its_length(&body(&format!("]]>{}", piece.repeat(1024 * 1024 / piece.len()))));
    }
}

#[test]
fn a_hostile_text_takes_no_more_than_its_length() {
    of_each_hostile_text(text_push);
}

#[test]
fn a_hostile_text_that_is_read_a_second_time_from_the_start_takes_no_more_than_its_length() {
    of_each_hostile_text(|text| text_push(&format!("]]></b>{text}")));
}

#[test]
fn two_hostile_texts_take_no_more_than_their_length() {
    of_each_hostile_text(|text| card_push(text, &text.replace("a0", "a1")));
}

#[test]
fn a_hostile_body_without_an_end_takes_no_more_than_its_length() {
    of_each_hostile_text(|text| format!("<xml><Content>{text}"));
}

#[test]
fn many_sections_behind_blanks_and_many_names_take_no_more_than_their_length() {
    // Whether the text is blank so far is not asked at each section.
    let blanks = format!("{}]]>{}<![CDATA[", " ".repeat(500_000), "<![CDATA[]]>".repeat(40_000));
    takes_no_more_than_its_length(&text_push(&blanks));
    let names: String = (0..60_000).map(|number| format!("]]></a{number}><b>")).collect();
    let started = Instant::now();
    assert_eq!(text_of(&text_push(&names)), names);
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// Texts of an attacker who knows how they are read.
fn hostile_text() -> impl Strategy<Value = String> {
    const WITHOUT_BLANKS: &str = "
        ]]> ]] ] > < <![CDATA[ </Content> <Content> <Content><![CDATA[ ]]></Content> </Title> <Title>
        <Title><![CDATA[ ]]></Title> <PagePath> <PagePath><![CDATA[ ]]></PagePath> </PagePath> <AppId> </AppId>
        <AppId>wxFORGED</AppId> <AppId><![CDATA[wxFORGED]]></AppId> <MsgType> </MsgType>
        <MsgType>image</MsgType> ]]></MsgType> <MsgId>666</MsgId> <MsgId> </MsgId> <BusinessId>8</BusinessId>
        <FromUserName><![CDATA[oFORGED]]></FromUserName> ]]></FromUserName> <FromUserName> </xml> <xml> <!-- -->
        <? ?> ' <b/> <Content/> <Foo> </Foo> <Foo><Title><![CDATA[ &lt; & ; oFORGED 客 ]]></Title><!--
        --><PagePath><![CDATA[ </Foo>
    ";
    let pieces: Vec<&str> =
        WITHOUT_BLANKS.split_whitespace().chain(["<a b=\"", "\"", "</Content >", " ", "\n", "<!DOCTYPE x>"]).collect();
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
