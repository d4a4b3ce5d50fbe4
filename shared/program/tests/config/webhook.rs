//! `[webhook]`, `[received_pictures]` and the rules that need them.

use std::time::Duration;

use kefu_messages::rules::Action;

use super::*;

const SECRET: &str = "[webhook]\nsecret = \"0123456789abcdef\"\n";

fn rule(when: &str, webhook: &str) -> String {
    format!("[[rule]]\nwhen = {when}\nwebhook = {webhook}\n")
}

/// What is wrong with one rule, where all else is good.
fn problems_of_rule(when: &str, webhook: &str) -> Vec<String> {
    problems_of(&format!("{GOOD}{SECRET}{}", rule(when, webhook)))
}

#[test]
fn a_rule_may_have_a_webhook() {
    let text = format!(
        "{GOOD}{SECRET}[received_pictures]\nfolder = \"pictures\"\n{}{}",
        rule("{ event = \"a\" }", "{ url = \"https://shop.example/kefu?key=hush\", timeout_ms = 900, sync = true }"),
        rule("{ type = \"image\" }", "{ url = \"http://10.0.0.1:8000\", media = true }"),
    );
    let folder = Folder::new(&text);
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.received_pictures.folder, Some(folder.path().join("pictures")));
    let rules = config.rules.current();
    let endpoints: Vec<_> = rules.iter().map(|rule| format!("{:?}", rule.action())).collect();
    assert!(endpoints[0].contains("host: \"shop.example\""), "{endpoints:?}");
    assert!(endpoints[1].contains("host: \"10.0.0.1:8000\""), "{endpoints:?}");
    assert!(!format!("{config:?}").contains("hush"));
    let Action::Webhook(endpoint) = rules.iter().next().unwrap().action() else { panic!("{endpoints:?}") };
    assert_eq!((endpoint.timeout, endpoint.sync), (Some(Duration::from_millis(900)), true));
}

#[test]
fn a_webhook_needs_a_secret_that_cannot_be_guessed() {
    let rule = rule("{}", "{ url = \"http://127.0.0.1/\" }");
    let problems = problems_of(&format!("{GOOD}{rule}{rule}"));
    assert!(problems.iter().any(|text| text.starts_with("[webhook]: secret (or secret_file) is missing: [[rule]] 1")));
    let short = problems_of(&format!("{GOOD}[webhook]\nsecret = \"hush\"\n{rule}"));
    assert_eq!(short.len(), 1, "{short:?}");
    assert!(short[0].starts_with("[webhook] secret: is too short") && !short[0].contains("hush"), "{short:?}");
    let wrong = problems_of(&format!("{GOOD}[webhook]\nsecret_file = \"missing\"\n{rule}"));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    let file = Folder::new(format!("{GOOD}[webhook]\nsecret_file = \"secret\"\n{rule}"));
    let file = file.with("secret", "0123456789abcdef\n");
    assert_eq!(file.load(&[]).unwrap().webhook.secret.unwrap().expose_secret(), "0123456789abcdef");
}

#[test]
fn a_wrong_webhook_is_reported_with_its_rule() {
    for (when, webhook, expected) in [
        ("{}", "{ url = \"ftp://shop.example\" }", "[[rule]] 1 webhook.url: must be an http:// or https:// address"),
        ("{}", "{ url = \"shop.example\" }", "[[rule]] 1 webhook.url: must be an http:// or https:// address"),
        ("{}", "{ url = \"http://\" }", "[[rule]] 1 webhook.url: must be an http:// or https:// address"),
        ("{}", "{ url = \"http://a.example/#b\" }", "[[rule]] 1 webhook.url: has a # in it"),
        ("{}", "{ url = \"http://a.example\", timeout_ms = 99 }", "webhook.timeout_ms: must be from 100 to 60000"),
        ("{}", "{ url = \"http://169.254.169.254/\" }", "[[rule]] 1 webhook.url: its address is link-local"),
        ("{}", "{ url = \"http://[::ffff:a9fe:a9fe]/\" }", "[[rule]] 1 webhook.url: its address is link-local"),
        ("{}", "{ timeout_ms = 1_000 }", "url is missing"),
        ("{}", "{ url = \"http://a.example\", sync = true }", "the rule can match a user's message"),
        (
            "{ type = [\"event\", \"text\"] }",
            "{ url = \"http://a.example\", sync = true }",
            "the rule can match a user's message",
        ),
        ("{ event = \"a\" }", "{ url = \"http://a.example\", sync = true, timeout_ms = 3_001 }", "from 100 to 3000"),
        ("{ event = \"a\" }", "{ url = \"http://a.example\", sync = true, media = true }", "both sync and media"),
        ("{ contains = \"a\" }", "{ url = \"http://a.example\", media = true }", "the rule matches no picture"),
        ("{ type = \"text\" }", "{ url = \"http://a.example\", media = true }", "the rule matches no picture"),
        ("{}", "{ url = \"http://a.example\" }\nignore = true", "the rule has both webhook and ignore: keep one"),
        ("{}", "{ url = \"http://a.example\", timeout = 1 }", "webhook.timeout: there is no such key"),
    ] {
        let problems = problems_of_rule(when, webhook);
        assert_eq!(problems.len(), 1, "{webhook}: {problems:?}");
        assert!(problems[0].contains(expected), "{webhook}: {problems:?}");
    }
    let allowed =
        format!("{GOOD}{SECRET}allow_link_local = true\n{}", rule("{}", "{ url = \"http://169.254.169.254/\" }"));
    Folder::new(allowed).load(&[]).unwrap();
}

#[test]
fn limits_are_checked() {
    for (section, key) in [
        ("webhook", "timeout_ms = 99"),
        ("webhook", "concurrency = 0"),
        ("received_pictures", "max_bytes = 1000"),
        ("received_pictures", "max_bytes = 300_000_000"),
    ] {
        let problems = problems_of(&format!("{GOOD}[{section}]\n{key}\n"));
        let name = key.split(' ').next().unwrap();
        assert!(problems[0].starts_with(&format!("[{section}] {name}: must be from")), "{problems:?}");
    }
}
