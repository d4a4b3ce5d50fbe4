//! `[assistant]`, and the rules that ask it.

use kefu_messages::rules::{Action, Rule};
use kefu_messages::testing::text_push;

use super::{Duration, ExposeSecret, Folder, GOOD, problems_of};

const SECTION: &str = "[assistant]\nbase_url = \"https://api.example/v1/\"\nmodel = \"m\"\n";
const RULE: &str = "[[rule]]\nwhen = { type = \"text\" }\nassistant = true\n";

/// What the rules do with a text.
fn action(more: &str) -> Action {
    let config = Folder::new(format!("{GOOD}{more}")).load(&[]).unwrap();
    let rules = config.rules.current();
    rules.decide("wx1", &text_push("hi")).map(Rule::action).unwrap().clone()
}

fn briefing(more: &str) -> (Option<String>, Option<String>) {
    match action(more) {
        Action::Assistant(briefing) => (briefing.system_prompt, briefing.fallback),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_section_there_is_no_assistant() {
    assert!(Folder::new(GOOD).load(&[]).unwrap().assistant.is_none());
}

#[test]
fn address_and_model_are_enough() {
    let config = Folder::new(format!("{GOOD}{SECTION}")).load(&[]).unwrap();
    let assistant = config.assistant.unwrap();
    assert_eq!((assistant.base_url.as_str(), assistant.model.as_str()), ("https://api.example/v1", "m"));
    assert!(assistant.key.is_none() && assistant.briefing.system_prompt.is_none());
    assert!(assistant.max_tokens.is_none() && assistant.temperature.is_none());
    assert_eq!((assistant.history_messages, assistant.history_seconds), (20, 86_400));
    assert_eq!((assistant.timeout, assistant.max_reply_bytes), (Duration::from_secs(30), 6_000));
    assert!(assistant.briefing.fallback.is_some());
}

#[test]
fn the_environment_and_files_have_their_say() {
    let folder = Folder::new(GOOD).with("key", "sk-FILE\n");
    let environment = [
        ("KEFU__ASSISTANT__BASE_URL", "http://[::1]:11434/v1"),
        ("KEFU__ASSISTANT__MODEL", "m"),
        ("KEFU__ASSISTANT__KEY_FILE", "key"),
        ("KEFU__ASSISTANT__TEMPERATURE", "0.5"),
        ("KEFU__ASSISTANT__MAX_TOKENS", "300"),
        ("KEFU__ASSISTANT__FALLBACK", ""),
    ];
    let assistant = folder.load(&environment).unwrap().assistant.unwrap();
    assert_eq!(assistant.key.unwrap().expose_secret(), "sk-FILE");
    assert_eq!(
        (assistant.temperature, assistant.max_tokens, assistant.briefing.fallback),
        (Some(0.5), Some(300), None)
    );
}

#[test]
fn what_is_wrong_with_the_section_is_all_said_and_shows_no_key() {
    let section = "[assistant]\nbase_url = \"https://user:hush@api.example/v1\"\nkey = \"hush hush\"\n\
                   history_messages = 201\nhistory_seconds = 0\ntimeout_ms = 1\nconcurrency = 0\nmax_tokens = 0\n\
                   temperature = 2.5\nmax_reply_bytes = 10001\nsystem_promt = \"x\"\n";
    let fallback = format!("fallback = \"{}\"\n", "好".repeat(667));
    let expected = [
        "[assistant] base_url: has a user or password in it: put the API key into key or key_file",
        "[assistant] key: must have letters, digits and signs of ASCII only, without blanks",
        "[assistant] fallback: has 2001 bytes, the most is 2000",
        "[assistant] history_messages: must be from 0 to 200",
        "[assistant] history_seconds: must be from 1 to 2592000",
        "[assistant] timeout_ms: must be from 100 to 120000",
        "[assistant] concurrency: must be from 1 to 10000",
        "[assistant] max_tokens: must be from 1 to 10000000",
        "[assistant] temperature: must be from 0 to 2",
        "[assistant] max_reply_bytes: must be from 100 to 10000",
        "[assistant] system_promt: there is no such key; did you mean system_prompt?",
        "[assistant]: model is missing: the model's name on the server",
    ];
    assert_eq!(problems_of(&format!("{GOOD}{section}{fallback}")), expected);
}

#[test]
fn an_address_that_cannot_be_one_is_refused_with_what_it_should_be() {
    for (url, expected) in [
        ("", "base_url is missing"),
        ("api.example/v1", "must be http://HOST or https://HOST"),
        ("https:///v1", "must be http://HOST or https://HOST"),
        ("https://api.example/v1/chat/completions", "must end before /chat/completions"),
        ("https://api.example/v1?key=hush", "has a query"),
        ("https://api.example/ v1", "has a query, a fragment or a blank"),
    ] {
        let problems = problems_of(&format!("{GOOD}[assistant]\nbase_url = \"{url}\"\nmodel = \"m\""));
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains(expected) && !problems[0].contains("hush"), "{problems:#?}");
    }
    let problems = problems_of(&format!("{GOOD}[assistant]\ntemperature = \"warm\"\nbase_url = 5"));
    assert!(problems.iter().any(|problem| problem.starts_with("[assistant] temperature: must be")), "{problems:#?}");
}

#[test]
fn a_rule_asks_the_assistant_with_its_own_words_or_the_sections() {
    let common = format!("{SECTION}system_prompt = \"be kind\"\nfallback = \"later\"\n");
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(briefing(&format!("{common}{RULE}")), (some("be kind"), some("later")));
    let own = |table: &str| briefing(&format!("{common}{}", RULE.replace("true", table)));
    assert_eq!(own("{}"), (some("be kind"), some("later")));
    assert_eq!(own("{ system_prompt = \"be strict\" }"), (some("be strict"), some("later")));
    assert_eq!(own("{ system_prompt = \"\", fallback = \"\" }"), (None, None), "an empty text takes away");
    let after_false = format!("{common}[[rule]]\nwhen = {{}}\nassistant = false\nignore = true\n");
    assert_eq!(action(&after_false), Action::Ignore);
}

#[test]
fn a_rule_that_cannot_ask_an_assistant_is_refused() {
    let rule = |when: &str, rest: &str| format!("{SECTION}[[rule]]\nwhen = {when}\n{rest}\n");
    let long = format!("assistant = {{ fallback = \"{}\" }}", "好".repeat(667));
    let texts_only = "an assistant answers texts only: add type = \"text\" to the rule's when";
    for (more, expected) in [
        (RULE.to_owned(), "the rule asks the assistant, but there is no section [assistant]"),
        (rule("{}", "assistant = true"), texts_only),
        (rule("{ type = [\"text\", \"image\"] }", "assistant = true"), texts_only),
        (rule("{ event = \"user_enter_tempsession\" }", "assistant = {}"), texts_only),
        (rule("{ contains = \"x\" }", "assistant = true\nreply = [{ text = \"x\" }]"), "both reply and assistant"),
        (rule("{ contains = \"x\" }", "assistant = true\nignore = true"), "both assistant and ignore"),
        (rule("{ contains = \"x\" }", "assistant = false"), "the rule has no action"),
        (rule("{ contains = \"x\" }", &long), "assistant.fallback: has 2001 bytes, the most is 2000"),
        (rule("{ contains = \"x\" }", "assistant = { prompt = \"x\" }"), "assistant.prompt: there is no such key"),
        (
            rule("{ contains = \"x\" }", "assistant = \"yes\""),
            "[[rule]] 1 assistant: must be true or a table: { system_prompt = …, fallback = … }",
        ),
    ] {
        let problems = problems_of(&format!("{GOOD}{more}"));
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains(expected), "{expected:?} is not in {problems:#?}");
    }
    for only_texts in ["{ contains = \"x\" }", "{ regex = \"x\" }", "{ type = [\"text\", \"TEXT\"] }"] {
        Folder::new(format!("{GOOD}{}", rule(only_texts, "assistant = true"))).load(&[]).unwrap();
    }
}
