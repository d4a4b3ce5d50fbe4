#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// What a cell of the page's table says, between backticks; `nothing` is the empty text.
fn cell(cell: &str) -> String {
    for ticks in ["```` ", "`` ", "`"] {
        let end: String = ticks.chars().rev().collect();
        let text = cell.trim().strip_prefix(ticks).and_then(|rest| rest.strip_suffix(&end));
        if let Some(text) = text {
            return text.replace('⏎', "\n");
        }
    }
    assert_eq!(cell.trim(), "nothing");
    String::new()
}

#[test]
fn each_example_of_the_manual_is_as_it_says() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/assistant.md")).unwrap();
    let (_, section) = page.split_once("\n### Thoughts\n").unwrap();
    let rows: Vec<&str> = section.lines().skip_while(|line| *line != "|---|---|").skip(1).collect();
    let rows: Vec<&str> = rows.into_iter().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 20, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [text, answer] = cells[..] else { panic!("{row}") };
        assert_eq!(without_thoughts(&cell(text)), cell(answer), "{row}");
    }
}

#[test]
fn half_a_tag_at_the_end_goes() {
    for (text, rest) in [
        ("a</", "a"),
        ("a<thi", "a"),
        ("a</THINKIN", "a"),
        ("a<", "a<"),
        ("a<think>", "a<think>"),
        ("a<thin b", "a<thin b"),
        ("a <b", "a <b"),
        ("", ""),
    ] {
        assert_eq!(without_half_tag(text), rest, "{text}");
    }
}

/// Not by the clock: in time that grows with the square each would take minutes.
#[test]
fn a_text_of_nothing_but_tags_is_read_at_once() {
    const MUCH: usize = 1 << 20;
    for piece in
        ["<think>", "</think>", "`<think>", " <think> ", "<think>a</think>", "<", "\"<think>", "```\n", "``` `<think>"]
    {
        without_thoughts(&piece.repeat(MUCH / piece.len()));
    }
    let blanks = " ".repeat(MUCH / 2);
    without_thoughts(&format!("{blanks}{}", "a<think>b</think>".repeat(MUCH / 32)));
    without_thoughts(&format!("`{blanks}{}`", "<think>".repeat(MUCH / 16)));
    let ticks: String = (1..1_400).map(|length| "`".repeat(length) + "a").collect();
    without_thoughts(&ticks);
}

proptest! {
    #[test]
    fn nothing_but_blanks_around_it_is_taken_from_a_text_without_tags(text in "[^<]{0,60}(<[a-s/ ]?[^t<]{0,5}){0,5}") {
        prop_assert_eq!(without_thoughts(&text), text.trim());
    }

    #[test]
    fn no_thought_is_shown(
        thoughts in proptest::collection::vec("(想{1,3}|\n| |`x|\"|x)*", 1..4),
        name in "think|thinking|THINK",
        opened in any::<bool>(),
    ) {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let mut text: String = thoughts.iter().map(|thought| format!("{open}{thought}\n{close}\n")).collect();
        text = if opened { text } else { text[open.len()..].to_owned() };
        prop_assert_eq!(without_thoughts(&(text.clone() + "北京")), "北京");
        prop_assert_eq!(without_thoughts(&(text + &open + "想")), "");
    }

    #[test]
    fn any_text_is_read(text in r"(<think>|</think>|</?THINKING *>|`{1,3}|~~~|\n| |[“”()]|\x22|想|a){0,40}") {
        let answer = without_thoughts(&text);
        prop_assert!(answer.len() <= text.len() && answer.trim() == answer);
    }
}
