//! Why a rule does not match, in words.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn what_is_explained_is_what_is_decided(
        whens in proptest::collection::vec(any_when(), 1..6),
        appid in prop::sample::select(vec!["wx1", "wx2"]),
        push in any_push(),
    ) {
        let rules: String = whens.iter().enumerate().map(|(n, when)| rule(when, &n.to_string())).collect();
        // Some can never match, or have another before them that takes all.
        let Ok(rules) = load(&rules) else { return Err(TestCaseError::reject("refused")) };
        let explained = rules.iter().find(|rule| rule.mismatch(appid, &push).is_none());
        let decided = rules.decide(appid, &push);
        prop_assert_eq!(explained.map(Rule::place), decided.map(Rule::place));
    }
}

fn any_when() -> impl Strategy<Value = String> {
    let conditions = [
        "account = \"wx1\"",
        "type = [\"text\", \"image\"]",
        "type = \"event\"",
        "event = \"user_enter_tempsession\"",
        "contains = [\"a\", \"B\"]",
        "regex = \"^[a-c]+$\"",
        "session_from = \"a\"",
    ];
    prop::sample::subsequence(conditions.to_vec(), 0..3).prop_map(|given| {
        let mut keys: Vec<&str> = given.iter().filter_map(|condition| condition.split(' ').next()).collect();
        keys.dedup();
        // A key twice is no TOML.
        let given = if keys.len() == given.len() { given.join(", ") } else { String::new() };
        format!("{{ {given} }}")
    })
}

fn any_push() -> impl Strategy<Value = Push> {
    prop_oneof![
        "[abcX ]{0,4}".prop_map(|content| text(&content)),
        "[abX]{0,3}".prop_map(|from| enter(&from)),
        Just(push(json!({ "MsgType": "image", "MsgId": 1 }))),
        Just(push(json!({ "MsgType": "event", "Event": "other" }))),
        Just(push(json!({ "MsgType": "strange" }))),
    ]
}

#[test]
fn why_a_rule_does_not_match_is_said_in_words() {
    let cases = [
        (r#"{ account = ["wx2"] }"#, text("a"), r#"account "wx2": it came to "wx1""#),
        (r#"{ type = ["image", "event"] }"#, text("a"), r#"type "image" or "event": it is "text""#),
        (r#"{ event = "other" }"#, enter("x"), r#"event "other": it is "user_enter_tempsession""#),
        (r#"{ event = "other" }"#, text("a"), r#"event "other": it is no event but "text""#),
        (r#"{ contains = "B" }"#, text("a"), r#"contains "b": not found in the text"#),
        (r#"{ contains = "b" }"#, enter("x"), r#"contains "b": it is no text but "user_enter_tempsession""#),
        (r#"{ regex = "^b" }"#, text("a"), r#"regex "^b": not found in the text"#),
        (r#"{ session_from = "b" }"#, enter("a"), r#"session_from "b": not found in "a""#),
        (r#"{ session_from = "b" }"#, enter(""), r#"session_from "b": its SessionFrom is empty"#),
        (r#"{ session_from = "b" }"#, text("a"), r#"session_from "b": it is not user_enter_tempsession but "text""#),
    ];
    for (when, push, words) in cases {
        let rules = load(&rule(when, "x")).unwrap();
        assert_eq!(rules.iter().next().unwrap().mismatch("wx1", &push).as_deref(), Some(words), "{when}");
    }
    let rules = rule(r#"{ type = "text", contains = ["a", "b"] }"#, "x") + &rule("{}", "y");
    let rules = load(&rules).unwrap();
    let whens: Vec<String> = rules.iter().map(Rule::when).collect();
    assert_eq!(whens, [r#"type "text", contains "a" or "b""#, "every push"]);
}
