use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::string::string_regex;

use super::*;

/// The text of a cell in the page's table, between backticks; `nothing` is the empty text.
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
    assert!(rows.len() >= 35, "{rows:?}");
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

/// This test needs no clock: each text would take minutes if the time grew with the square of the length.
#[test]
fn a_text_of_nothing_but_tags_is_read_at_once() {
    const MUCH: usize = 1 << 20;
    for piece in [
        "<think>",
        "</think>",
        "`<think>",
        " <think> ",
        "<think>a</think>",
        "<",
        "\"<think>",
        "```\n",
        "```\n</think>\n",
        "``` `<think>",
        "` </think> a ",
    ] {
        without_thoughts(&piece.repeat(MUCH / piece.len()));
    }
    let blanks = " ".repeat(MUCH / 2);
    without_thoughts(&format!("{blanks}{}", "a<think>b</think>".repeat(MUCH / 32)));
    without_thoughts(&format!("`{blanks}{}`", "<think>".repeat(MUCH / 16)));
    let ticks: String = (1..1_400).map(|length| "`".repeat(length) + "a").collect();
    without_thoughts(&ticks);
}

/// A character that stands in each thought, and nowhere else.
const THOUGHT: char = '想';

/// An opening and a closing tag.
fn tags() -> impl Strategy<Value = (String, String)> {
    "(think|thinking|THINK) ?".prop_map(|name| (format!("<{name}>"), format!("</{name}>")))
}

/// A thought that begins and ends with a word of a thought, and has no other thought in it. The thought may have stray
/// backticks and quotation marks, quoted tags, and, where `fences` says so, blocks of code without an end.
fn flat_thought(fences: bool) -> impl Strategy<Value = String> {
    let fence = if fences { "|\n```(py)?\n" } else { "" };
    let words = string_regex(&format!("(想| |\n|想`想\n|想\"想\n|想`</?think>`|“</?think>”{fence}){{0,6}}")).unwrap();
    words.prop_map(|words| format!("想{words}想"))
}

/// A thought like [`flat_thought`], with other thoughts in it.
fn thought() -> impl Strategy<Value = String> {
    flat_thought(true).prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), vec((closed(inner.clone()), inner), 0..3))
            .prop_map(|(first, more)| more.into_iter().fold(first, |text, (closed, rest)| text + &closed + &rest))
    })
}

/// A thought in its tags; the opening tag may stand twice.
fn closed(thought: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (tags(), "[ \n]{0,2}", thought, "[ \n]{0,2}", any::<bool>()).prop_map(
        |((open, close), before, text, after, is_doubled)| {
            let again = if is_doubled { format!("{before}{open}") } else { String::new() };
            format!("{open}{again}{before}{text}{after}{close}")
        },
    )
}

/// Thoughts that are still open at the end: one or more, one inside the other.
fn unclosed() -> impl Strategy<Value = String> {
    vec((tags(), "[ \n]{0,2}", thought()), 1..3)
        .prop_map(|open| open.into_iter().map(|((open, _), blanks, text)| format!("{open}{blanks}{text}")).collect())
}

/// A thought that the prompt began. Its end does not look like a word of a sentence, and is alone on its line in a
/// block of code.
fn prompted() -> impl Strategy<Value = String> {
    let directly =
        (flat_thought(false), tags(), " ?").prop_map(|(text, (_, close), blank)| format!("{text}{close}{blank}"));
    let on_its_line = (flat_thought(true), tags()).prop_map(|(text, (_, close))| format!("{text}\n{close}\n"));
    prop_oneof![directly, on_its_line]
}

/// A piece of a model's text, and whether the piece belongs to the answer; otherwise the piece is a thought.
fn part() -> impl Strategy<Value = (String, bool)> {
    let said = "北京(北京| |\n|。|京`</?think>`|京`<think>a</think>`|“</?think>”|\n```(xml)?\n<think>\n京\n</think>\n```\n){0,4}北京[ \n]{0,2}";
    prop_oneof![said.prop_map(|text| (text, true)), closed(thought()).prop_map(|text| (text, false))]
}

proptest! {
    #[test]
    fn nothing_but_blanks_around_it_is_taken_from_a_text_without_tags(text in "[^<]{0,60}(<[a-s/ ]?[^t<]{0,5}){0,5}") {
        prop_assert_eq!(without_thoughts(&text), text.trim());
    }

    #[test]
    fn no_thought_is_shown(prompted in option::of(prompted()), parts in vec(part(), 0..6), last in option::of(unclosed())) {
        let text: String = prompted.into_iter().chain(parts.into_iter().map(|(text, _)| text)).chain(last).collect();
        let answer = without_thoughts(&text);
        prop_assert!(!answer.contains(THOUGHT), "{text:?} became {answer:?}");
    }

    #[test]
    fn nothing_but_thoughts_is_taken(prompted in option::of(prompted()), parts in vec(part(), 0..6), last in option::of(unclosed())) {
        let said: String = parts.iter().filter(|(_, is_said)| *is_said).map(|(text, _)| text.as_str()).collect();
        let text: String = prompted.into_iter().chain(parts.into_iter().map(|(text, _)| text)).chain(last).collect();
        prop_assert_eq!(without_thoughts(&text), said.trim(), "{:?}", text);
    }

    #[test]
    fn any_text_is_read(text in r"(<think>|</think>|</?THINKING *>|`{1,3}|~~~|\n| |[“”()]|\x22|想|a){0,40}") {
        let answer = without_thoughts(&text);
        prop_assert!(answer.len() <= text.len() && answer.trim() == answer);
    }
}
