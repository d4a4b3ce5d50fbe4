//! What a configuration says, and what is said of a wrong one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use kefu_shared::config::{self, BackendUrls, Config, ConfigErrors, Mode};
use secrecy::ExposeSecret;
use tempfile::TempDir;

const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

const GOOD: &str = r#"
[queue]
url = "amqp://user:hush@rabbit/%2f"
[store]
url = "redis://redis/"
[[account]]
appid = "wx1"
secret = "hush-secret"
token = "hush-token"
encoding_aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
mode = "safe"
"#;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, content: &str) -> Self {
        fs::write(self.0.path().join(name), content).unwrap();
        self
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        config::load_with(&self.0.path().join("kefu.toml"), environment)
    }

    fn problems(&self, environment: &[(&str, &str)]) -> Vec<String> {
        self.load(environment).expect_err("the configuration was taken").problems().to_vec()
    }
}

fn problems_of(text: &str) -> Vec<String> {
    Folder::new().with("kefu.toml", text).problems(&[])
}

#[test]
fn a_good_file_is_taken_and_the_rest_has_defaults() {
    let config = Folder::new().with("kefu.toml", GOOD).load(&[]).unwrap();
    let account = config.accounts.get("wx1").unwrap();
    assert_eq!((account.mode, account.keys.len(), account.tokens.len()), (Mode::Safe, 1, 1));
    assert!(matches!(config.backend, BackendUrls::Servers { .. }));
    assert_eq!(config.queue.partitions, 64);
    assert_eq!(config.wechat.timeout, Duration::from_secs(10));
    assert_eq!(config.wechat.api_base, "https://api.weixin.qq.com");
}

#[test]
fn every_problem_is_listed_at_once() {
    let text = format!(
        r#"
        [queue]
        url = "amqp://rabbit"
        colour = "red"
        [store]
        url = "redis://redis"
        [[account]]
        appid = "wx1"
        secret = "s"
        token = "t"
        mode = "plain"
        [[account]]
        appid = "wx1"
        secret = "s"
        token_file = "absent"
        encoding_aes_key = "{}"
        mode = "safe"
        [[rule]]
        when = {{ type = "text", regex = "(open" }}
        reply = [{{ text = "x" }}]
        [extra]
        "#,
        &KEY[..42]
    );
    let problems = problems_of(&text);
    let expected = [
        "[queue]: there is no key `colour`",
        "[[account]] 2 (wx1): another account has the same appid",
        "[[account]] 2 (wx1): token_file",
        "[[account]] 2 (wx1) encoding_aes_key: an EncodingAESKey has 43 characters, this one has 42",
        "[[rule]] 1: when.regex: unclosed group",
        "extra: there is no such section or key",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem:?} does not start with {expected:?}");
    }
}

#[test]
fn unknown_keys_are_found_at_every_depth() {
    let problems = problems_of(&format!(
        "{GOOD}colour = 1\n[[account.previous]]\ntoken = \"x\"\nshade = 2\n\
         [[rule]]\nwhen = {{ typ = \"text\" }}\nreply = [{{ text = \"x\" }}]\nreplies = 1"
    ));
    let has = |needle: &str| problems.iter().any(|problem| problem.contains(needle));
    assert!(has("[[account]] 1: there is no key `colour`"), "{problems:#?}");
    assert!(has("[[account]] 1: there is no key `previous.0.shade`"), "{problems:#?}");
    assert!(has("[[rule]] 1: there is no key `when.typ`"), "{problems:#?}");
    assert!(has("[[rule]] 1: there is no key `replies`"), "{problems:#?}");
}

#[test]
fn a_wrong_type_is_named_with_its_place_and_without_its_value() {
    let problems = problems_of(&GOOD.replace("appid = \"wx1\"", "appid = \"wx1\"\nprevious = \"hush-hush\""));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("[[account]] 1: previous: must be "), "{problems:#?}");
    assert!(!problems[0].contains("hush"), "{problems:#?}");
}

#[test]
fn a_syntax_error_is_named_by_its_line_and_shows_no_secret() {
    let problems = problems_of("[queue]\nurl = \"amqp://user:hush@rabbit\n");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("line 2") && !problems[0].contains("hush"), "{problems:#?}");
}

#[test]
fn a_missing_file_is_named() {
    let error = config::load_with(&PathBuf::from("/nowhere/kefu.toml"), []).unwrap_err().to_string();
    assert!(error.contains("/nowhere/kefu.toml") && error.contains("cannot be read"), "{error}");
}

#[test]
fn what_an_account_needs_is_asked_for() {
    let problems =
        problems_of("[queue]\nurl = \"embedded:data\"\n[store]\nurl = \"embedded:data\"\n[[account]]\nmode = \"safe\"");
    for missing in ["appid", "secret", "token", "encoding_aes_key"] {
        let named = problems.iter().any(|problem| problem.contains(missing) && problem.contains("missing"));
        assert!(named, "{missing} is not asked for: {problems:#?}");
    }
    assert!(problems_of("[queue]\nurl = \"embedded:d\"\n[store]\nurl = \"embedded:d\"")[0].contains("there is none"));
}

#[test]
fn the_environment_overrides_the_file() {
    let config = Folder::new()
        .with("kefu.toml", GOOD)
        .load(&[
            ("KEFU__INGRESS__LISTEN", "127.0.0.1:1234"),
            ("KEFU__QUEUE__PREFETCH", "7"),
            ("KEFU__ACCOUNT__WX1__TOKEN", "12345"),
            ("KEFU__ACCOUNT__WX1__MODE", "compat"),
            ("KEFU_UNRELATED", "x"),
        ])
        .unwrap();
    let account = config.accounts.get("wx1").unwrap();
    assert_eq!(config.ingress.listen.port(), 1234);
    assert_eq!(config.queue.prefetch, 7);
    assert_eq!((account.tokens[0].expose_secret(), account.mode), ("12345", Mode::Compat));
}

#[test]
fn an_account_can_come_from_the_environment_alone() {
    let config = Folder::new()
        .with("kefu.toml", GOOD)
        .load(&[
            ("KEFU__ACCOUNT__WX2__SECRET", "s"),
            ("KEFU__ACCOUNT__WX2__TOKEN", "t"),
            ("KEFU__ACCOUNT__WX2__MODE", "plain"),
        ])
        .unwrap();
    assert!(config.accounts.get("wx2").is_some() && config.accounts.get("wx1").is_some());
}

#[test]
fn a_wrong_override_is_a_problem() {
    let folder = Folder::new().with("kefu.toml", GOOD);
    let problems = folder.problems(&[("KEFU__INGRESS__LISTENN", "x"), ("KEFU__ACCOUNT__WX1__TOKE", "x")]);
    assert!(problems.iter().any(|problem| problem.contains("`listenn`")), "{problems:#?}");
    assert!(problems.iter().any(|problem| problem.contains("`toke`")), "{problems:#?}");
}

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let text = GOOD.replace("secret = \"hush-secret\"", "secret_file = \"secret\"");
    let config = Folder::new().with("kefu.toml", &text).with("secret", "from-a-file\n").load(&[]).unwrap();
    assert_eq!(config.accounts.get("wx1").unwrap().secret.expose_secret(), "from-a-file");
}

#[test]
fn a_secret_given_twice_or_empty_is_a_problem() {
    let twice = GOOD.replace("token = \"hush-token\"", "token = \"hush-token\"\ntoken_file = \"t\"");
    assert!(problems_of(&twice)[0].contains("token and token_file are both given"));
    assert!(problems_of(&GOOD.replace("hush-token", ""))[0].contains("token is empty"));
}

#[test]
fn the_previous_token_and_key_stay_while_they_are_listed() {
    let text = format!("{GOOD}previous = [{{ token = \"old\" }}, {{ encoding_aes_key = \"{KEY}\" }}]");
    let config = Folder::new().with("kefu.toml", &text).load(&[]).unwrap();
    let account = config.accounts.get("wx1").unwrap();
    let tokens: Vec<&str> = account.tokens.iter().map(|token| token.expose_secret()).collect();
    assert_eq!((tokens, account.keys.len()), (vec!["hush-token", "old"], 2));
}

#[test]
fn queue_and_store_must_belong_together() {
    let mixed = GOOD.replace("redis://redis/", "embedded:data");
    assert!(problems_of(&mixed)[0].contains("both embedded or both on servers"));
    let other = GOOD.replace("amqp://user:hush@rabbit/%2f", "embedded:a").replace("redis://redis/", "embedded:b");
    assert!(problems_of(&other)[0].contains("same embedded:FOLDER"));
    let unknown = problems_of(&GOOD.replace("amqp://", "kafka://"));
    assert!(unknown[0].contains("must start with amqp://") && !unknown[0].contains("hush"), "{unknown:?}");
}

#[test]
fn what_can_be_told_without_the_servers_is_told_with_everything_else() {
    let text = GOOD.replace("@rabbit/%2f", "@[::1]/").replace("redis://redis/", "redis://redis:port/");
    let folder = Folder::new().with("kefu.toml", &format!("{text}[telemetry]\nlog_filter = \"kefu=loud\""));
    let problems = folder.problems(&[("KEFU__ACCOUNT__WX1", "x")]);
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(problems[0].contains("KEFU__ACCOUNT__WX1: must be KEFU__ACCOUNT__APPID__KEY"), "{problems:#?}");
    assert!(problems[1].starts_with("[telemetry]: log_filter"), "{problems:#?}");
    assert!(problems[2].starts_with("[queue] url: ") && problems[2].contains("IPv6"), "{problems:#?}");
    assert!(problems[3].starts_with("[store] url: ") && !problems[3].contains("hush"), "{problems:#?}");
}

#[test]
fn numbers_out_of_range_are_problems() {
    let text =
        format!("{GOOD}[ingress]\nmax_body_bytes = 1\n[worker]\nconcurrency = 0\n[wechat]\napi_base = \"ftp://x\"");
    let problems = problems_of(&text.replace("[store]", "partitions = 0\n[store]"));
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn nothing_secret_shows_in_debug() {
    let config = Folder::new().with("kefu.toml", GOOD).load(&[]).unwrap();
    assert!(!format!("{config:?}").contains("hush"), "{config:?}");
}
