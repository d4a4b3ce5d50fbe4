//! What is said of a wrong configuration.

use std::path::PathBuf;

use kefu_program::config;

use super::{Folder, GOOD, KEY, problems_of};

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
        "[queue] colour: there is no such key",
        "[[account]] 2 (wx1): another account has the same appid",
        "[[account]] 2 (wx1) token_file: ",
        "[[account]] 2 (wx1) encoding_aes_key: an EncodingAESKey has 43 characters, this one has 42",
        "[[rule]] 1: when.regex: unclosed group",
        "[extra]: there is no such section",
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
    let expected = [
        "[[account]] 1 (wx1) previous 1 shade: there is no such key",
        "[[account]] 1 (wx1) colour: there is no such key",
        "[[rule]] 1 when.typ: there is no such key",
        "[[rule]] 1 replies: there is no such key; did you mean reply?",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_wrong_type_is_named_with_its_place_and_without_its_value() {
    let problems = problems_of(&GOOD.replace("appid = \"wx1\"", "appid = \"wx1\"\nprevious = \"hush-hush\""));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0], "[[account]] 1 (wx1) previous: must be a list: [ …, … ]");
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
    assert!(error.contains("/nowhere/kefu.toml") && error.contains("--config"), "{error}");
}

#[test]
fn what_an_account_needs_is_asked_for() {
    let problems =
        problems_of("[queue]\nurl = \"embedded:data\"\n[store]\nurl = \"embedded:data\"\n[[account]]\nmode = \"safe\"");
    for missing in ["appid", "secret", "token", "encoding_aes_key"] {
        let named = problems.iter().any(|problem| problem.contains(missing) && problem.contains("missing"));
        assert!(named, "{missing} is not asked for: {problems:#?}");
    }
    assert!(
        problems_of("[queue]\nurl = \"embedded:d\"\n[store]\nurl = \"embedded:d\"")[0]
            .contains("there is no [[account]]")
    );
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
    let folder = Folder::new(format!("{text}[telemetry]\nlog_filter = \"kefu=loud\""));
    let problems = folder.problems(&[("KEFU__ACCOUNT__WX1", "x")]);
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(problems[0].contains("KEFU__ACCOUNT__WX1: must be KEFU__ACCOUNT__APPID__KEY"), "{problems:#?}");
    assert!(problems[1].starts_with("[queue] url: ") && problems[1].contains("IPv6"), "{problems:#?}");
    assert!(problems[2].starts_with("[store] url: ") && !problems[2].contains("hush"), "{problems:#?}");
    assert!(problems[3].starts_with("[telemetry] log_filter: "), "{problems:#?}");
}

#[test]
fn the_largest_push_must_fit_into_what_may_be_buffered() {
    let settings = "max_body_bytes = 2097152\nmax_buffered_bytes = 2097151";
    let problems = problems_of(&format!("{GOOD}[ingress]\n{settings}"));
    assert_eq!(problems, ["[ingress] max_buffered_bytes: must not be less than max_body_bytes"]);
}

#[test]
fn numbers_out_of_range_are_problems() {
    let text =
        format!("{GOOD}[ingress]\nmax_body_bytes = 1\n[worker]\nconcurrency = 0\n[wechat]\napi_base = \"ftp://x\"");
    let problems = problems_of(&text.replace("[store]", "partitions = 0\n[store]"));
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn a_value_that_is_not_among_the_choices_is_told_the_choices() {
    let text = GOOD.replace("mode = \"safe\"", "mode = \"SAFE-hush\"");
    let text = format!(
        "{text}[worker]\nambiguous = \"hush\"\n[wechat]\ntoken_api = \"hush\"\n[telemetry]\nlog_format = \"hush\""
    );
    let expected = [
        r#"[worker] ambiguous: must be one of "resend", "skip""#,
        r#"[wechat] token_api: must be one of "stable_token", "token""#,
        r#"[telemetry] log_format: must be one of "text", "json""#,
        r#"[[account]] 1 (wx1) mode: must be one of "plain", "compat", "safe""#,
    ];
    assert_eq!(problems_of(&text), expected);
}

#[test]
fn wrong_values_of_one_section_are_all_named_and_hide_nothing_else() {
    let text = format!(
        "{GOOD}[ingress]\nlisten = \"localhost\"\ninternal_listen = 5\ngrace_ms = -1\nmax_connections = 0\n\
         [worker]\nconcurrency = \"many\"\n[[rule]]\nwhen = \"text\"\nreply = [{{ txt = \"hush\" }}]"
    );
    let text =
        text.replace("[store]", "partitions = 70000\n[store]").replace("\"safe\"", "\"s\"").replace(KEY, "short");
    let address = r#"must be "IP:PORT", for example "127.0.0.1:8080""#;
    let expected = [
        "[queue] partitions: must be from 1 to 1024",
        &format!("[ingress] listen: {address}"),
        &format!("[ingress] internal_listen: {address}"),
        "[ingress] max_connections: must be from 1 to 1000000",
        "[ingress] grace_ms: must be a whole number, not below 0",
        "[worker] concurrency: must be a whole number from 1 to 100000",
        r#"[[account]] 1 (wx1) mode: must be one of "plain", "compat", "safe""#,
        "[[account]] 1 (wx1) encoding_aes_key: an EncodingAESKey has 43 characters, this one has 5",
        "[[rule]] 1 when: must be a table: { key = value, … }",
        "[[rule]] 1 reply 1 txt: there is no such key",
        "[[rule]] 1 reply 1: must have exactly one of text, image, link, miniprogrampage",
    ];
    assert_eq!(problems_of(&text), expected);
}

#[test]
fn limits_of_the_window_and_the_typing_api_are_checked() {
    let text = format!(
        "{GOOD}[window]\nmessage_replies = 0\nenter_seconds = 604801\nenter_replies = -1\n\
         clock_tolerance_seconds = 301\n\
         [wechat]\ntyping_api = \"message\""
    );
    let expected = [
        r#"[wechat] typing_api: must be one of "business_typing", "typing", "off""#,
        "[window] message_replies: must be from 1 to 1000",
        "[window] enter_replies: must be a whole number from 1 to 1000",
        "[window] enter_seconds: must be from 1 to 604800",
        "[window] clock_tolerance_seconds: must be from 0 to 300",
    ];
    assert_eq!(problems_of(&text), expected);
}

#[test]
fn what_is_wrong_inside_a_rule_is_named_with_its_place() {
    let rules = "[[rule]]\nwhen = { type = 5 }\nreply = [{ text = \"x\" }, { link = { title = \"t\" } }]\n\
                 [[rule]]\nwhen = { type = \"image\" }\nreply = \"hush\"\n[[rule]]\nwhen = {}\nreply = [\"hush\"]";
    let expected = [
        "[[rule]] 1 when.type: must be a string or a list of strings",
        "[[rule]] 1 reply 2 link: description is missing",
        "[[rule]] 2 reply: must be a list: [ …, … ]",
        "[[rule]] 3 reply 1: must be a table: { key = value, … }",
    ];
    assert_eq!(problems_of(&format!("{GOOD}{rules}")), expected);
}

#[test]
fn a_key_that_is_misspelt_is_said_once_and_with_the_right_one() {
    let text = GOOD
        .replace("url = \"amqp", "ulr = \"amqp")
        .replace("token =", "Token =")
        .replace("secret =", "secret-file =")
        .replace("encoding_aes_key =", "EncodingAESKey =");
    let expected = [
        "[queue] ulr: there is no such key; did you mean url?",
        "[[account]] 1 (wx1) EncodingAESKey: there is no such key; did you mean encoding_aes_key?",
        "[[account]] 1 (wx1) Token: there is no such key; did you mean token?",
        "[[account]] 1 (wx1) secret-file: there is no such key; did you mean secret_file?",
    ];
    assert_eq!(problems_of(&text), expected);
}

#[test]
fn a_section_that_is_none_is_named() {
    let problems = problems_of(&format!("colour = 1\n{GOOD}[extra]\n[[extras]]\nx = 1"));
    let expected = [
        "colour: there is no such key outside the sections",
        "[extra]: there is no such section",
        "[[extras]]: there is no such section",
    ];
    for problem in expected {
        assert!(problems.iter().any(|found| found == problem), "{problem:?} is not in {problems:#?}");
    }
    assert_eq!(problems_of("queue = 5\nstore = 5\naccount = 5").len(), 5);
}

#[test]
fn appids_that_differ_in_capital_letters_only_are_refused() {
    let second = "[[account]]\nappid = \"WX1\"\nsecret = \"s\"\ntoken = \"t\"\nmode = \"plain\"\n";
    let problems = problems_of(&format!("{GOOD}{second}"));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("[[account]] 2 (WX1): another account has the appid wx1, which differs only in"));
}

#[test]
fn the_file_itself_must_be_a_text_of_a_sensible_size() {
    let folder = Folder::new("");
    let error = config::load_with(folder.path(), []).unwrap_err();
    assert_eq!(error.problems(), ["the file: is a folder, not a file"]);
    for device in ["/dev/zero", "/dev/null"] {
        let error = config::load_with(&PathBuf::from(device), []).unwrap_err();
        assert!(error.problems()[0].contains("is not a regular file"), "{error}");
    }
    let long = format!("{GOOD}#{}", " ".repeat(1024 * 1024));
    assert_eq!(problems_of(&long), ["the file: has more than 1024 KiB"]);
    let folder = Folder::new(format!("\u{feff}{}", GOOD.replace('\n', "\r\n")));
    assert!(folder.load(&[]).is_ok());
    let folder = Folder::new(b"\xff\xfe[\0queue");
    assert_eq!(folder.problems(&[]), ["the file: is not text in UTF-8"]);
}
