//! What a configuration says, and what is said of a wrong one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use kefu_program::config::{BackendUrls, Mode};
use kefu_program::testing::Folder;
use secrecy::ExposeSecret;

mod api;
mod assistant;
mod environment;
mod problems;
mod secret_files;
mod spool;
mod webhook;

const KEY: &str = "Zk3Qw8rT1yU6iO0pA5sD9fG2hJ7kL4zX8cV1bN6mQ0e";

const GOOD: &str = r#"
[queue]
url = "amqp://user:hush@rabbit/%2f"
[store]
url = "redis://redis/"
[[account]]
appid = "wx1"
secret = "hush-secret"
token = "hush-token"
encoding_aes_key = "Zk3Qw8rT1yU6iO0pA5sD9fG2hJ7kL4zX8cV1bN6mQ0e"
mode = "safe"
"#;

fn problems_of(text: &str) -> Vec<String> {
    Folder::new(text).problems(&[])
}

#[test]
fn a_good_file_is_taken_and_the_rest_has_defaults() {
    let config = Folder::new(GOOD).load(&[]).unwrap();
    let account = config.accounts.get("wx1").unwrap();
    assert_eq!((account.mode, account.keys.len(), account.tokens.len()), (Mode::Safe, 1, 1));
    assert!(matches!(config.backend, BackendUrls::Servers { .. }));
    assert_eq!(config.queue.partitions, 8);
    assert_eq!(config.wechat.timeout, Duration::from_secs(10));
    assert_eq!(config.wechat.api_base, "https://api.weixin.qq.com");
}

#[test]
fn the_previous_token_and_key_stay_while_they_are_listed() {
    let text = format!("{GOOD}previous = [{{ token = \"old\" }}, {{ encoding_aes_key = \"{KEY}\" }}]");
    let config = Folder::new(&text).load(&[]).unwrap();
    let account = config.accounts.get("wx1").unwrap();
    let tokens: Vec<&str> = account.tokens.iter().map(|token| token.expose_secret()).collect();
    assert_eq!((tokens, account.keys.len()), (vec!["hush-token", "old"], 2));
}

#[test]
fn nothing_secret_shows_in_debug() {
    let config = Folder::new(GOOD).load(&[]).unwrap();
    assert!(!format!("{config:?}").contains("hush"), "{config:?}");
}

#[test]
fn the_prefetch_follows_the_concurrency_unless_it_is_set() {
    let folder = Folder::new(GOOD);
    let prefetch = |environment: &[(&str, &str)]| folder.load(environment).unwrap().prefetch();
    assert_eq!(prefetch(&[]), 128, "4 times 256 over 8 partitions");
    for (concurrency, followed) in [("1", 2), ("4", 2), ("5", 3), ("40", 20), ("1000", 500), ("100000", 2_000)] {
        assert_eq!(prefetch(&[("KEFU__WORKER__CONCURRENCY", concurrency)]), followed, "{concurrency}");
    }
    assert_eq!(prefetch(&[("KEFU__QUEUE__PARTITIONS", "16")]), 64);
    assert_eq!(prefetch(&[("KEFU__QUEUE__PREFETCH", "1"), ("KEFU__WORKER__CONCURRENCY", "40")]), 1);
}
