//! The configuration files that come with kefu: they load, and the defaults that they show are the defaults.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kefu_program::config::{self, Config, load_with};

const PNG: &[u8] = &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn load(file: &Path, environment: &[(&str, &str)]) -> Config {
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    load_with(file, environment).unwrap_or_else(|errors| panic!("{errors}"))
}

fn example() -> String {
    std::fs::read_to_string(shipped("kefu.example.toml")).unwrap()
}

/// The text with other values where the example's values look like real ones and are refused.
fn with_own_values(text: &str) -> String {
    config::refused_as_shown().fold(text.to_owned(), |text, shown| {
        let own = match shown.len() {
            43 => "Zk3Qw8rT1yU6iO0pA5sD9fG2hJ7kL4zX8cV1bN6mQ0e",
            _ if shown.starts_with("wx") => "wx00000000000000aa",
            _ => "own",
        };
        text.replace(shown, own)
    })
}

/// The text without the `#` of every `#key = value` and `#[[table]]`.
fn uncommented(text: &str) -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(uncomment).collect();
    lines.join("\n")
}

/// A `kefu.toml` with this text, in a folder that has the pictures its rules name.
fn written(folder: &Path, text: &str) -> PathBuf {
    std::fs::create_dir(folder.join("images")).unwrap();
    for picture in ["service_code.png", "shop.png"] {
        std::fs::write(folder.join("images").join(picture), PNG).unwrap();
    }
    let file = folder.join("kefu.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// The values that every user must put into the example, beside [`with_own_values`].
const SECRETS: [(&str, &str); 5] = [
    ("KEFU__ACCOUNT__WX00000000000000AA__SECRET", "s"),
    ("KEFU__ACCOUNT__WX00000000000000AA__TOKEN", "t"),
    ("KEFU__API__KEY", "0123456789abcdef"),
    ("KEFU__API__PREVIOUS_KEY", "fedcba9876543210"),
    ("KEFU__WEBHOOK__SECRET", "a secret of 16 characters"),
];

#[test]
fn the_example_loads_once_own_values_are_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let config = load(&written(folder.path(), &with_own_values(&example())), &SECRETS);
    assert_eq!(config.accounts.iter().count(), 1);
}

#[test]
fn the_example_as_it_is_says_which_values_are_still_to_be_put_in() {
    let errors = load_with(&shipped("kefu.example.toml"), []).unwrap_err().to_string();
    for name in ["appid", "secret", "token", "encoding_aes_key"] {
        assert!(errors.contains(&format!("{name}: is still the text of kefu.example.toml")), "{errors}");
    }
}

/// The possible keys of the sections but `[[rule]]`, by the section's head.
fn keys_of_sections() -> BTreeMap<String, BTreeSet<String>> {
    let folder = tempfile::tempdir().unwrap();
    let config = load(&written(folder.path(), &with_own_values(&uncommented(&example()))), &SECRETS);
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (head, keys) in config.keys().filter(|(head, _)| *head != "[[rule]]") {
        for key in keys {
            let (head, key) = match key.split_once('.') {
                Some((table, key)) => (format!("{}.{table}]]", head.trim_end_matches(']')), key),
                None => (head.to_owned(), key.as_str()),
            };
            sections.entry(head).or_default().insert(key.to_owned());
        }
    }
    sections
}

#[test]
fn every_secret_that_the_example_shows_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let errors = load_with(&written(folder.path(), &uncommented(&example())), []).unwrap_err();
    let account = "[[account]] 1 (wx0123456789abcdef)";
    let mut places = vec![format!("{account} appid")];
    for (head, keys) in keys_of_sections() {
        let place = match head.as_str() {
            "[[account]]" => account.to_owned(),
            "[[account.previous]]" => format!("{account} previous 1"),
            head => head.to_owned(),
        };
        // A value is a secret if it can be in a file of its own. The example's URLs are real ones, without a password.
        let secrets = keys.iter().filter_map(|key| key.strip_suffix("_file")).filter(|name| *name != "url");
        places.extend(secrets.map(|name| format!("{place} {name}")));
    }
    assert_eq!(places.len(), 10, "{places:?}");
    for place in places {
        let problem = format!("{place}: is still the text of kefu.example.toml: put your own there");
        assert!(errors.problems().contains(&problem), "{problem} is not said:\n{errors}");
    }
}

#[test]
fn what_is_refused_as_the_examples_stands_in_the_example() {
    let text = example();
    for shown in config::refused_as_shown() {
        assert!(text.contains(&format!("\"{shown}\"")), "{shown:?} is not in kefu.example.toml");
    }
}

#[test]
fn the_examples_appid_is_refused_in_any_case_and_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), &with_own_values(&example()));
    let others =
        [("KEFU__ACCOUNT__WX0123456789ABCDEF__SECRET", "s"), ("KEFU__ACCOUNT__WX0123456789ABCDEF__TOKEN", "t")];
    let environment = SECRETS.into_iter().chain(others).chain([("KEFU__ACCOUNT__WX0123456789ABCDEF__MODE", "plain")]);
    let errors = load_with(&file, environment.map(|(name, value)| (name.into(), value.into()))).unwrap_err();
    let problem = "the environment's account wx0123456789abcdef appid: is still the text of kefu.example.toml: put your own there";
    assert_eq!(errors.problems(), [problem], "{errors}");

    std::fs::write(&file, with_own_values(&example()).replace("wx00000000000000aa", "WX0123456789ABCDEF")).unwrap();
    let errors = load_with(&file, []).unwrap_err();
    let problem = "(WX0123456789ABCDEF) appid: is still the text of kefu.example.toml";
    assert!(errors.problems().iter().any(|found| found.contains(problem)), "{errors}");
}

#[test]
fn what_the_example_shows_of_keys_of_the_api_is_still_to_be_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let others = SECRETS.into_iter().filter(|(name, _)| !name.starts_with("KEFU__API__"));
    let environment = others.map(|(name, value)| (name.into(), value.into()));
    let file = written(folder.path(), &with_own_values(&uncommented(&example())));
    let errors = load_with(&file, environment).unwrap_err();
    for name in ["key", "previous_key"] {
        let problem = format!("[api] {name}: is still the text of kefu.example.toml");
        assert!(errors.problems().iter().any(|found| found.starts_with(&problem)), "{errors}");
    }
    assert_eq!(load(&file, &SECRETS).api.unwrap().keys.len(), 2);
}

#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut shown = load(&written(folder.path(), &with_own_values(&uncommented(&example()))), &SECRETS);
    let as_it_is = written(other.path(), &with_own_values(&example()));
    let real = load(&as_it_is, &SECRETS);

    // The example shows the number that follows from the concurrency.
    assert_eq!(shown.prefetch(), real.prefetch());
    shown.queue.prefetch = None;
    // The example shows the number of a machine with 2 cores that shares them with RabbitMQ and Redis.
    assert_eq!(shown.ingress.threads, 1);
    shown.ingress.threads = real.ingress.threads;
    assert_eq!(format!("{:?}", shown.queue), format!("{:?}", real.queue));
    assert_eq!(format!("{:?}", shown.ingress), format!("{:?}", real.ingress));
    assert_eq!(format!("{:?}", shown.worker), format!("{:?}", real.worker));
    assert_eq!(format!("{:?}", shown.wechat), format!("{:?}", real.wechat));
    assert_eq!(format!("{:?}", shown.window), format!("{:?}", real.window));
    assert_eq!(format!("{:?}", shown.webhook), format!("{:?}", real.webhook));
    assert_eq!(format!("{:?}", shown.received_pictures), format!("{:?}", real.received_pictures));
    assert_eq!(format!("{:?}", shown.telemetry), format!("{:?}", real.telemetry));

    // A key without a default has an example value; [api] has nothing but texts to be replaced.
    let shown = shown.assistant.unwrap();
    let (max_tokens, temperature) = (shown.max_tokens.unwrap().to_string(), shown.temperature.unwrap().to_string());
    let given = [
        ("KEFU__ASSISTANT__BASE_URL", shown.base_url.as_str()),
        ("KEFU__ASSISTANT__MODEL", &shown.model),
        ("KEFU__ASSISTANT__KEY", "k"),
        ("KEFU__ASSISTANT__SYSTEM_PROMPT", shown.briefing.system_prompt.as_ref().unwrap()),
        ("KEFU__ASSISTANT__MAX_TOKENS", &max_tokens),
        ("KEFU__ASSISTANT__TEMPERATURE", &temperature),
    ];
    let real = load(&as_it_is, &[&SECRETS[..], &given].concat());
    assert_eq!(format!("{shown:?}"), format!("{:?}", real.assistant.unwrap()));
}

#[test]
fn the_example_shows_every_key_of_every_section() {
    let text = uncommented(&example());
    let sections = keys_of_sections();
    for (head, keys) in &sections {
        let section = text.split(&format!("\n{head}\n")).nth(1).unwrap_or_else(|| panic!("{head} is not shown"));
        let written = section.split("\n[").next().unwrap();
        let shown = |key: &str| {
            let is_table = text.contains(&format!("\n{}.{key}]]\n", head.trim_end_matches(']')));
            is_table || written.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim_end() == key))
        };
        assert!(!keys.is_empty(), "{head} has no keys");
        // Every secret can be in a file; the example says so once for all.
        for key in keys.iter().filter(|key| !key.ends_with("_file")) {
            assert!(shown(key), "{head} does not show {key}");
        }
    }
    let heads = text.lines().filter(|line| line.starts_with('[') && !line.starts_with("[[rule]]"));
    for head in heads {
        assert!(sections.contains_key(head), "the keys of {head} are not compared");
    }
}

#[test]
fn the_example_names_both_causes_of_a_reply_that_may_or_may_not_have_been_sent() {
    let text = example();
    let about = text.split("\n\n").find(|paragraph| paragraph.contains("#ambiguous = ")).unwrap();
    let about = about.replace("\n# ", " ");
    for cause in ["a worker died in the middle of it", "WeChat did not answer the call"] {
        assert!(about.contains(cause), "{cause:?} is not in {about:?}");
    }
}

#[test]
fn the_demonstration_loads_with_the_urls_that_compose_gives() {
    let environment =
        [("KEFU__QUEUE__URL", "amqp://kefu:kefu@rabbitmq:5672/%2f"), ("KEFU__STORE__URL", "redis://redis:6379/0")];
    let config = load(&shipped("deploy/demo/kefu.toml"), &environment);
    assert_eq!(config.accounts.iter().count(), 3);
}
