//! What comes from the environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use kefu_program::config::{self, Mode};
use secrecy::ExposeSecret;

use super::{Folder, GOOD};

#[test]
fn the_environment_overrides_the_file() {
    let config = Folder::new(GOOD)
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
    assert_eq!(config.queue.prefetch, Some(7));
    assert_eq!((account.tokens[0].expose_secret(), account.mode), ("12345", Mode::Compat));
}

#[test]
fn an_account_can_come_from_the_environment_alone() {
    let config = Folder::new(GOOD)
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
    let folder = Folder::new(GOOD);
    let problems = folder.problems(&[
        ("KEFU__INGRESS__LISTENN", "x"),
        ("KEFU__ACCOUNT__WX1__TOKE", "x"),
        ("KEFU__ACCOUNT__WX1__MODE", "SAFE"),
        ("KEFU__ACCOUNT__WX2__MODE", "SAFE"),
        ("KEFU__WORKER__CONCURRENCY", "0"),
        ("KEFU__EXTRA__KEY", "x"),
    ]);
    let modes = r#"must be one of "plain", "compat", "safe""#;
    let expected = [
        "[ingress] listenn (from KEFU__INGRESS__LISTENN): there is no such key; did you mean listen?",
        "[worker] concurrency (from KEFU__WORKER__CONCURRENCY): must be from 1 to 100000",
        &format!("[[account]] 1 (wx1) mode (from KEFU__ACCOUNT__WX1__MODE): {modes}"),
        "[[account]] 1 (wx1) toke (from KEFU__ACCOUNT__WX1__TOKE): there is no such key; did you mean token?",
        &format!("the environment's account wx2 mode (from KEFU__ACCOUNT__WX2__MODE): {modes}"),
        "the environment's account wx2: secret (or secret_file) is missing",
        "the environment's account wx2: token (or token_file) is missing",
        "[extra] (from KEFU__EXTRA__KEY): there is no such section",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_variable_that_overrides_nothing_is_a_problem() {
    let folder = Folder::new(GOOD);
    let problems = folder.problems(&[
        ("KEFU__QUEUE", "x"),
        ("KEFU__QUEUE__URL__MORE", "x"),
        ("KEFU__QUEUE__", "x"),
        ("KEFU__", "x"),
        ("KEFU__ACCOUNT__WX1", "x"),
        ("KEFU__RULE__1__REPLY", "x"),
    ]);
    let section = "must be KEFU__SECTION__KEY, for example KEFU__QUEUE__URL";
    let expected = [
        &format!("KEFU__: {section}"),
        "KEFU__ACCOUNT__WX1: must be KEFU__ACCOUNT__APPID__KEY, for example KEFU__ACCOUNT__WX0123__SECRET",
        &format!("KEFU__QUEUE: {section}"),
        &format!("KEFU__QUEUE__: {section}"),
        &format!("KEFU__QUEUE__URL__MORE: {section}"),
        "KEFU__RULE__1__REPLY: kefu takes no rules from the environment: write them into the file",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_variable_that_is_not_utf_8_is_a_problem_like_others_and_those_of_others_are_not() {
    let folder = Folder::new(GOOD);
    let name = |name: &[u8]| OsString::from_vec(name.to_vec());
    let environment = [
        (name(b"KEFU__QUEUE__URL"), name(b"hush\xff")),
        (name(b"KEFU__QUEUE__\xff"), name(b"x")),
        (name(b"KEFU__QUEUE__PREFETCH"), name(b"0")),
        (name(b"SHELL"), name(b"\xff")),
        (name(b"\xff"), name(b"x")),
    ];
    let errors = config::load_with(&folder.config(), environment).unwrap_err();
    let expected = [
        "KEFU__QUEUE__URL: is not text in UTF-8",
        "KEFU__QUEUE__\u{fffd}: is not text in UTF-8",
        "[queue] prefetch (from KEFU__QUEUE__PREFETCH): must be from 1 to 2000",
    ];
    assert_eq!(errors.problems(), expected);
}
