use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{enter_push, push, text_push as text};

#[test]
fn each_placeholder_is_filled_with_its_field() {
    let card = json!({ "MsgType": "miniprogrampage", "MsgId": 1, "Title": "杯子", "PagePath": "pages/a?x=1&y=2" });
    let (card, enter) = (push(card), enter_push("order"));
    assert_eq!(fill("您说：{content}。", &text("你好")), "您说：你好。");
    assert_eq!(fill("{title} ({page_path})", &card), "杯子 (pages/a?x=1&y=2)");
    assert_eq!(fill("from {session_from}{session_from}", &enter), "from orderorder");
    assert_eq!(fill("[{title}{session_from}]", &text("x")), "[]");
}

#[test]
fn what_is_no_placeholder_stays_as_it_is() {
    for same in ["{}", "{ content }", "{100}", "¥{9.9}", r#"{"a":{"b":1}}"#, "{{", "}}{", "{content", "{a-b}", "{{}}"]
    {
        assert_eq!(fill(same, &text("x")), same);
    }
    assert_eq!(fill(r#"{"said":{content}}"#, &text("x")), r#"{"said":x}"#);
}

#[test]
fn doubled_braces_stand_for_the_name_in_braces() {
    assert_eq!(fill("{{content}} {{name}} {{{content}}}", &text("x")), "{content} {name} {{content}}");
    assert_eq!(fill("{{content} {content}}", &text("x")), "{x x}");
}

#[test]
fn what_the_push_says_is_not_filled_again() {
    assert_eq!(fill("{content}", &text("{content} {{x}}")), "{content} {{x}}");
}

#[test]
fn unknown_names_are_told_apart() {
    assert_eq!(
        placeholders("{content} {{x}} {nickname} {昵称} {1}"),
        [Ok(Field::Content), Err("nickname"), Err("昵称")]
    );
}

#[test]
fn a_users_text_becomes_no_link() {
    let said = text(r#"<a href="https://evil.example">1 < 2</a> <3 <"#);
    assert_eq!(fill("{content}", &said), r#"＜a href="https://evil.example">1 < 2＜/a> <3 ＜"#);
}

#[test]
fn control_characters_are_left_out_before_anything_else() {
    let said = text("<\u{2}a href=\"https://evil.example\">x\r\ny\u{7f}<\u{0}/a>");
    assert_eq!(fill("{content}", &said), "＜a href=\"https://evil.example\">x\ny＜/a>");
    assert_eq!(fill("<a href=\"/{content}\">", &text("1\u{2}2\n")), "<a href=\"/12%0A\">");
    let reply = || vec![Content::Text("{content}".into()).into()];
    assert!(fill_all(&reply(), &text("\u{2}\u{3} ")).is_empty());
}

#[test]
fn what_was_mended_in_the_push_is_left_out_before_anything_else() {
    let half = text("<\u{fffd}a>半\u{fffd}个\u{fffd}");
    assert_eq!(fill("“{content}”", &half), "“＜a>半个”");
    assert_eq!(fill("<a href=\"/{content}\">\u{fffd}", &text("1\u{fffd}2")), "<a href=\"/12\">\u{fffd}");
    let reply = || vec![Content::Text("{content}".into()).into()];
    assert!(fill_all(&reply(), &text("\u{fffd} ")).is_empty());
}

#[test]
fn a_users_text_does_not_break_out_of_a_link() {
    let said = text(r#"x" onclick='y'><b>"#);
    let template = r#"<a href="https://shop.example/?q={content}">{content}</a>"#;
    let expected = r#"<a href="https://shop.example/?q=x%22%20onclick=%27y%27%3E%3Cb%3E">x" onclick='y'>＜b></a>"#;
    assert_eq!(fill(template, &said), expected);
}

#[test]
fn a_reply_that_comes_out_blank_is_left_out() {
    let replies = [Content::Text("{session_from}".into()).into(), Content::Text("hi".into()).into()];
    assert_eq!(fill_all(&replies, &text("x")), replies[1..]);
}

proptest! {
    #[test]
    fn texts_without_names_in_braces_stay_as_they_are(text_of_rule in r#"([{}]|[0-9 "<>a:]|\{ [a-z]+ \})*"#) {
        prop_assume!(placeholders(&text_of_rule).is_empty() && !text_of_rule.contains("{{a"));
        prop_assert_eq!(fill(&text_of_rule, &text("x")), text_of_rule);
    }

    #[test]
    fn a_users_text_never_adds_a_tag(said in r#"([<>/"' a-c]|\PC){0,30}"#) {
        let said = text(&said);
        let filled = fill(r#"a{content}b <a href="{content}">{content}</a>"#, &said);
        let begin_tags = filled.match_indices('<').filter(|(at, _)| could_begin_tag(&filled[at + 1..])).count();
        prop_assert_eq!(begin_tags, 2, "{}", filled);
        let (_, attribute) = filled.split_once("href=\"").unwrap();
        let (value, _) = attribute.split_once("\">").unwrap();
        prop_assert!(!value.contains(['"', '<', '>', ' ']), "{}", value);
    }
}
