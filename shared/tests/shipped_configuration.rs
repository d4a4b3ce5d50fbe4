//! The configuration files that come with kefu: they load, and what the manual says of defaults is so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use kefu_shared::config::{self, Config, load_with};

const PNG: &[u8] = &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn load(file: &Path, environment: &[(&str, &str)]) -> Config {
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    load_with(file, environment).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The manual's file with the `#` taken from every `#key = value`, `#[[table]]`: in a folder that has the pictures its
/// rules name.
fn uncommented(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(shipped("kefu.example.toml")).unwrap();
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(uncomment).collect();
    std::fs::create_dir(folder.join("images")).unwrap();
    for picture in ["service_code.png", "shop.png"] {
        std::fs::write(folder.join("images").join(picture), PNG).unwrap();
    }
    let file = folder.join("kefu.toml");
    std::fs::write(&file, lines.join("\n")).unwrap();
    file
}

/// What everybody has to put into the example.
const SECRETS: [(&str, &str); 5] = [
    ("KEFU__ACCOUNT__WX0123456789ABCDEF__SECRET", "s"),
    ("KEFU__ACCOUNT__WX0123456789ABCDEF__TOKEN", "t"),
    ("KEFU__API__KEY", "0123456789abcdef"),
    ("KEFU__API__PREVIOUS_KEY", "fedcba9876543210"),
    ("KEFU__WEBHOOK__SECRET", "a secret of 16 characters"),
];

#[test]
fn the_example_loads_once_the_secrets_are_put_in() {
    let config = load(&shipped("kefu.example.toml"), &SECRETS);
    assert_eq!(config.accounts.iter().count(), 1);
}

#[test]
fn the_example_as_it_is_says_which_values_are_still_to_be_put_in() {
    let errors = load_with(&shipped("kefu.example.toml"), []).unwrap_err().to_string();
    for name in ["secret", "token"] {
        assert!(errors.contains(&format!("{name}: is still the text of kefu.example.toml")), "{errors}");
    }
}

#[test]
fn what_the_example_shows_of_keys_of_the_api_is_still_to_be_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let others = SECRETS.into_iter().filter(|(name, _)| !name.starts_with("KEFU__API__"));
    let environment = others.map(|(name, value)| (name.into(), value.into()));
    let errors = load_with(&uncommented(folder.path()), environment).unwrap_err();
    for name in ["key", "previous_key"] {
        let problem = format!("[api] {name}: is still the text of kefu.example.toml");
        assert!(errors.problems().iter().any(|found| found.starts_with(&problem)), "{errors}");
    }
    assert_eq!(load(&folder.path().join("kefu.toml"), &SECRETS).api.unwrap().keys.len(), 2);
}

#[test]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let shown = load(&uncommented(folder.path()), &SECRETS);
    let real = load(&shipped("kefu.example.toml"), &SECRETS);

    assert_eq!(format!("{:?}", shown.queue), format!("{:?}", real.queue));
    assert_eq!(format!("{:?}", shown.ingress), format!("{:?}", real.ingress));
    assert_eq!(format!("{:?}", shown.worker), format!("{:?}", real.worker));
    assert_eq!(format!("{:?}", shown.wechat), format!("{:?}", real.wechat));
    assert_eq!(format!("{:?}", shown.window), format!("{:?}", real.window));
    assert_eq!(format!("{:?}", shown.webhook), format!("{:?}", real.webhook));
    assert_eq!(format!("{:?}", shown.received_pictures), format!("{:?}", real.received_pictures));
    assert_eq!(format!("{:?}", shown.telemetry), format!("{:?}", real.telemetry));

    // What has no default stands there as an example; of [api] that is nothing but texts to be replaced.
    let shown = shown.assistant.unwrap();
    let (max_tokens, temperature) = (shown.max_tokens.unwrap().to_string(), shown.temperature.unwrap().to_string());
    let given = [
        ("KEFU__ASSISTANT__BASE_URL", shown.base_url.as_str()),
        ("KEFU__ASSISTANT__MODEL", &shown.model),
        ("KEFU__ASSISTANT__KEY", "k"),
        ("KEFU__ASSISTANT__SYSTEM_PROMPT", shown.system_prompt.as_ref().unwrap()),
        ("KEFU__ASSISTANT__MAX_TOKENS", &max_tokens),
        ("KEFU__ASSISTANT__TEMPERATURE", &temperature),
    ];
    let real = load(&shipped("kefu.example.toml"), &[&SECRETS[..], &given].concat());
    assert_eq!(format!("{shown:?}"), format!("{:?}", real.assistant.unwrap()));
}

#[test]
fn the_example_shows_every_key_of_every_section() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(uncommented(folder.path())).unwrap();
    let sections = config::keys_of_sections();
    for (head, keys) in sections {
        let section = text.split(&format!("\n{head}\n")).nth(1).unwrap_or_else(|| panic!("{head} is not shown"));
        let written = section.split("\n[").next().unwrap();
        let shown = |key: &str| {
            let is_table = text.contains(&format!("\n{}.{key}]]\n", head.trim_end_matches(']')));
            is_table || written.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim_end() == key))
        };
        assert!(!keys.is_empty(), "{head} has no keys");
        // Every secret can be in a file, which the example says once for all.
        for key in keys.iter().filter(|key| !key.ends_with("_file")) {
            assert!(shown(key), "{head} does not show {key}");
        }
    }
    let heads = text.lines().filter(|line| line.starts_with('[') && !line.starts_with("[[rule]]"));
    for head in heads {
        assert!(sections.iter().any(|(name, _)| *name == head), "the keys of {head} are not compared");
    }
}

#[test]
fn the_demonstration_loads_with_the_urls_that_compose_gives() {
    let environment =
        [("KEFU__QUEUE__URL", "amqp://kefu:kefu@rabbitmq:5672/%2f"), ("KEFU__STORE__URL", "redis://redis:6379/0")];
    let config = load(&shipped("deploy/demo/kefu.toml"), &environment);
    assert_eq!(config.accounts.iter().count(), 3);
}
