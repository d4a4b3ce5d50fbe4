//! What the programs say of a configuration that they cannot take.

use std::time::Duration;

use kefu_harness::folder::Folder;
use kefu_harness::process::{Launch, Program, Wait};
use kefu_program::testing::MINIMAL;

const WRONG: &str = r#"
[queue]
url = "amqp://user:hush@127.0.0.1"
colour = "red"
[store]
url = "redis://127.0.0.1"
[[account]]
appid = "wx1"
secret = "hush"
token = "hush"
mode = "plain"
[[account]]
appid = "wx1"
secret_file = "absent"
token = "hush"
encoding_aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"
mode = "safe"
[[rule]]
when = { regex = "(" }
reply = [{ text = "x" }]
"#;

#[tokio::test]
async fn all_problems_are_listed_at_once_before_anything_starts() {
    let folder = Folder::new("wrong");
    let config = folder.write("kefu.toml", WRONG);
    for launch in [Launch::ingress(&config), Launch::worker(&config), Launch::serve(&config)] {
        let program = Program::start(Launch { wait: Wait::Nothing, ..launch }).await;
        let (status, output) = program.end_within(Duration::from_secs(30)).await;
        assert_eq!(status.code(), Some(2), "{output}");
        for problem in [
            "kefu.toml has 5 problems",
            "1. [queue] colour: there is no such key",
            "2. [[account]] 2 (wx1): another account has the same appid",
            "3. [[account]] 2 (wx1) secret_file: ",
            "4. [[account]] 2 (wx1) encoding_aes_key: an EncodingAESKey has 43 characters, this one has 42",
            "5. [[rule]] 1: when.regex: unclosed group",
        ] {
            assert!(output.contains(problem), "{problem:?} is not in:\n{output}");
        }
        assert!(!output.contains("hush"), "a secret is shown:\n{output}");
    }
}

/// The example shows an appid and an EncodingAESKey that look like real ones, and that everybody knows.
#[tokio::test]
async fn what_the_example_shows_is_taken_by_no_program() {
    let example = include_str!("../../kefu.example.toml");
    let half_edited = example.replace("put the AppSecret here", "hush").replace("put the Token here", "hush");
    let folder = Folder::new("example");
    let config = folder.write("kefu.toml", half_edited);
    let looked_at = |args: &[&str]| Launch {
        args: args.iter().map(Into::into).chain(["--config".into(), config.clone().into()]).collect(),
        ..Launch::serve(&config)
    };
    let launches = [
        Launch::ingress(&config),
        Launch::worker(&config),
        Launch::serve(&config),
        looked_at(&["rules", "check"]),
        looked_at(&["doctor"]),
    ];
    for launch in launches {
        let args = launch.args.clone();
        let program = Program::start(Launch { wait: Wait::Nothing, listens: Vec::new(), ..launch }).await;
        let (status, output) = program.end_within(Duration::from_secs(30)).await;
        assert!(!status.success(), "{args:?}: {output}");
        for name in ["appid", "encoding_aes_key"] {
            let problem = format!("{name}: is still the text of kefu.example.toml: put your own there");
            assert!(output.contains(&problem), "{args:?}: {problem:?} is not in:\n{output}");
        }
    }
}

#[tokio::test]
async fn a_transfer_of_events_is_refused_at_the_start() {
    let rules = "[[rule]]\nwhen = { event = \"user_enter_tempsession\" }\ntransfer = true\n\
                 [[rule]]\nwhen = {}\ntransfer = true\nreply = [{ text = \"x\" }]\n";
    let problems = [
        "kefu.toml has 2 problems",
        "1. [[rule]] 1: only users' messages can be transferred",
        "2. [[rule]] 2: the rule has both reply and transfer",
    ];
    are_refused_at_the_start(rules, &problems).await;
}

#[tokio::test]
async fn a_webhook_at_a_clouds_metadata_or_for_what_cannot_be_decided_is_refused_at_the_start() {
    let webhook =
        |when: &str, webhook: &str| format!("[[rule]]\nwhen = {{ {when} }}\nwebhook = {{ url = {webhook} }}\n");
    let rules = [
        "[webhook]\nsecret = \"0123456789abcdef\"\n".to_owned(),
        webhook("type = \"text\"", "\"http://169.254.169.254/latest\""),
        webhook("type = \"image\"", "\"http://127.0.0.1:1/\", sync = true"),
        webhook("type = \"voice\"", "\"shop.example\""),
    ];
    let problems = [
        "kefu.toml has 3 problems",
        "[[rule]] 1 webhook.url: its address is link-local",
        "[[rule]] 2: webhook has sync = true, but the rule can match a user's message",
        "[[rule]] 3 webhook.url: must be an http:// or https:// address",
    ];
    are_refused_at_the_start(&rules.concat(), &problems).await;
}

async fn are_refused_at_the_start(rules: &str, problems: &[&str]) {
    let folder = Folder::new("refused");
    let config = folder.write("kefu.toml", format!("{MINIMAL}{rules}"));
    for launch in [Launch::ingress(&config), Launch::worker(&config), Launch::serve(&config)] {
        let program = Program::start(Launch { wait: Wait::Nothing, ..launch }).await;
        let (status, output) = program.end_within(Duration::from_secs(30)).await;
        assert_eq!(status.code(), Some(2), "{output}");
        for problem in problems {
            assert!(output.contains(problem), "{problem:?} is not in:\n{output}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new("taken");
    let ingress = format!("[ingress]\nlisten = \"{address}\"\ninternal_listen = \"127.0.0.1:0\"\n");
    let config = folder.write("kefu.toml", format!("{MINIMAL}{ingress}"));
    let program = Program::start(Launch { wait: Wait::Nothing, ..Launch::serve(&config) }).await;
    let (status, output) = program.end_within(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(&format!("[ingress] listen = \"{address}\" cannot be bound")), "{output}");
}
