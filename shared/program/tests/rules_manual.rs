//! The examples of docs/rules.md: each is loaded, and its pushes meet the rules that the page says.
//!
//! An example is a block of TOML with a `[[rule]]` in it, and after it a table:
//!
//! ```text
//! | push | what becomes of it |
//! |---|---|
//! | text `你好` | rule 1: reply text, image |
//! | image to `wxfedcba9876543210` | no rule |
//! | enter `session-from` | rule 2: ignore |
//! | event `name` | no rule |
//! ```
//!
//! After `rule N: ` stands what [`Action::in_words`] says, as `kefu rules check` shows it. Whoever adds a condition or an
//! action adds an example: one that has none fails the last tests here.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kefu_messages::rules::{Rules, keys_of_when};
use kefu_messages::testing::pushed;
use kefu_program::config::Config;
use kefu_program::testing::{Folder, MINIMAL, account};
use kefu_wechat::push::Push;
use serde_json::json;

/// In place of the page's first account: its appid is that of kefu.example.toml, which is refused.
const APPID: &str = "wx00000000000000aa";
const ANOTHER: &str = "wxfedcba9876543210";
const ASSISTANT: &str = "[assistant]\nbase_url = \"https://api.example/v1\"\nmodel = \"m\"\n";

struct Example {
    /// The line of the page where the example begins.
    line: usize,
    toml: String,
    /// Pushes, and their results.
    cases: Vec<(String, String)>,
}

fn examples() -> Vec<Example> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    let mut lines = page.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if line != "```toml" {
            continue;
        }
        let toml: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let toml = toml.join("\n");
        if !toml.contains("[[rule]]") {
            continue;
        }
        while lines.peek().is_some_and(|(_, line)| line.is_empty()) {
            lines.next();
        }
        let mut rows = Vec::new();
        while let Some((_, row)) = lines.next_if(|(_, line)| line.starts_with('|')) {
            rows.push(row);
        }
        let cell = |text: &str| text.trim().to_owned();
        let cases = rows.iter().skip(2).map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            let [push, outcome] = cells[..] else { panic!("{row:?} has not two cells") };
            (cell(push), cell(outcome))
        });
        examples.push(Example { line: number + 1, toml, cases: cases.collect() });
    }
    examples
}

/// The rules of an example, with the pictures and the secret files that it names.
fn load(example: &Example) -> Config {
    let head = MINIMAL.replace("wx1", APPID) + &account(ANOTHER) + ASSISTANT;
    let folder = Folder::new(head + &example.toml);
    for name in example.toml.split('"').filter(|part| part.ends_with(".png") && !part.contains("://")) {
        folder.write(name, b"\x89PNG\r\n\x1a\n");
    }
    for name in example.toml.lines().filter_map(|line| line.split_once("_file = \"")?.1.strip_suffix('"')) {
        folder.write(name, "a secret of 16 characters");
    }
    match folder.load(&[]) {
        Ok(config) => config,
        Err(errors) => panic!("the example at line {} is refused: {errors}", example.line),
    }
}

/// The push that a cell describes, and the account that it comes to.
fn push(cell: &str) -> (String, Push) {
    let (what, appid) = match cell.split_once(" to `") {
        Some((what, appid)) => (what, appid.trim_end_matches('`')),
        None => (cell, APPID),
    };
    let (kind, value) = what.split_once(" `").map_or((what, ""), |(kind, value)| (kind, value.trim_end_matches('`')));
    let fields = match kind {
        "text" => json!({ "MsgType": "text", "MsgId": 1, "Content": value }),
        "image" => json!({ "MsgType": "image", "MsgId": 1, "PicUrl": "https://p/", "MediaId": "m" }),
        "miniprogrampage" => json!({ "MsgType": "miniprogrampage", "MsgId": 1, "Title": value, "PagePath": "p" }),
        "enter" => json!({ "MsgType": "event", "Event": "user_enter_tempsession", "SessionFrom": value }),
        "event" => json!({ "MsgType": "event", "Event": value }),
        _ => panic!("{cell:?} is no push that this test knows"),
    };
    (appid.to_owned(), pushed(appid, "oUSER", fields).push)
}

fn outcome(rules: &Rules, appid: &str, push: &Push) -> String {
    let decided = rules.decide(appid, push).map(|rule| {
        let number = rules.iter().position(|other| std::ptr::eq(other, rule)).unwrap() + 1;
        format!("rule {number}: {}", rule.action().in_words())
    });
    decided.unwrap_or_else(|| "no rule".to_owned())
}

#[test]
fn every_example_does_what_the_page_says() {
    let examples = examples();
    assert!(examples.len() >= 8, "the page has only {} examples", examples.len());
    for example in examples {
        assert!(!example.cases.is_empty(), "the example at line {} has no table of pushes", example.line);
        let rules = load(&example).rules.current();
        let mut met = BTreeSet::new();
        for (cell, expected) in &example.cases {
            let (appid, push) = push(cell);
            let outcome = outcome(&rules, &appid, &push);
            assert_eq!(outcome, *expected, "{cell} in the example at line {}", example.line);
            met.extend(outcome.split_once(':').map(|(rule, _)| rule.to_owned()));
        }
        assert_eq!(met.len(), rules.iter().len(), "a rule of the example at line {} is met by no push", example.line);
    }
}

/// The keys that `[[rule]]` and its `when` can have.
fn keys() -> (BTreeSet<String>, [&'static str; 6]) {
    let config = load(&examples()[0]);
    let (_, keys) = config.keys().find(|(head, _)| *head == "[[rule]]").unwrap();
    (keys.clone(), keys_of_when())
}

#[test]
fn every_condition_and_every_action_has_an_example() {
    let (rule_keys, when_keys) = keys();
    assert!(rule_keys.contains("reply") && when_keys.contains(&"contains"), "{rule_keys:?} {when_keys:?}");
    let tables: Vec<toml::Table> = examples().iter().map(|example| example.toml.parse().unwrap()).collect();
    let rules: Vec<&toml::Value> = tables.iter().filter_map(|table| table["rule"].as_array()).flatten().collect();
    for key in &rule_keys {
        assert!(rules.iter().any(|rule| rule.get(key).is_some()), "docs/rules.md has no example of {key}");
    }
    for key in when_keys {
        let shown = rules.iter().any(|rule| rule["when"].get(key).is_some());
        assert!(shown, "docs/rules.md has no example of when.{key}");
    }
}

#[test]
fn every_condition_is_in_the_table_and_every_action_has_a_section() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")).unwrap();
    let (rule_keys, when_keys) = keys();
    for key in when_keys {
        assert!(page.contains(&format!("\n| `{key}` |")), "the table of conditions lacks {key}");
    }
    for key in rule_keys.iter().filter(|key| *key != "when") {
        assert!(page.contains(&format!("\n### {key}\n")), "there is no section ### {key}");
    }
}
