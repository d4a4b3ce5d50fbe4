use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn raw(status: u16, body: impl Into<Vec<u8>>) -> Raw {
    Raw { status, retry_after: None, body: body.into() }
}

/// The outcome for a choice with this message and finish_reason: an answer or the word for the failure.
fn outcome(message: Value, finish_reason: &str) -> Result<String, &'static str> {
    let body = json!({ "choices": [{ "message": message, "finish_reason": finish_reason }] }).to_string();
    read(&raw(200, body)).map_err(|failure| failure.kind.as_str())
}

#[test]
fn the_text_of_the_first_choice_is_the_answer_without_blanks_around_it() {
    let said = |content: &str| json!({ "role": "assistant", "content": content });
    assert_eq!(outcome(said(" 您好！\n\n"), "stop").unwrap(), "您好！");
    assert_eq!(outcome(said("half an ans"), "length").unwrap(), "half an ans…");
    let parts = json!([{ "type": "text", "text": "one, " }, { "type": "image" }, { "type": "text", "text": "two" }]);
    assert_eq!(outcome(json!({ "content": parts }), "stop").unwrap(), "one, two");
    assert_eq!(outcome(json!({ "content": "well", "tool_calls": [{}] }), "tool_calls").unwrap(), "well");
    assert_eq!(outcome(json!({ "content": "well", "refusal": null }), "").unwrap(), "well");
    let body = json!({ "choices": [{ "message": said("without a reason") }, { "message": said("no") }] });
    assert_eq!(read(&raw(200, body.to_string())).unwrap(), "without a reason");
}

#[test]
fn a_character_that_was_cut_costs_no_answer() {
    let body = |said: &[u8]| [br#"{"choices":[{"message":{"content":""#, said, br#""}}]}"#].concat();
    assert_eq!(read(&raw(200, body(b"Hi, cut \xe6\x82"))).unwrap(), "Hi, cut");
    assert_eq!(read(&raw(200, body(b"caf\xe9"))).unwrap_err().kind, Kind::Unusable, "Latin-1");
}

#[test]
fn what_the_model_thought_is_not_said() {
    for content in ["<think>he is angry\n</think>\n\nhello", "he is angry</think>hello", "hello"] {
        assert_eq!(outcome(json!({ "content": content }), "stop").unwrap(), "hello");
    }
    assert_eq!(outcome(json!({ "content": " <think>he is angry" }), "length"), Err("empty"));
    assert_eq!(outcome(json!({ "content": "<think>想</think><think> 北京" }), "length"), Err("empty"));
    assert_eq!(outcome(json!({ "content": "hello\n<thin" }), "length").unwrap(), "hello…");
    assert_eq!(outcome(json!({ "content": "<th\u{2}ink>he is angry</think>hello" }), "stop").unwrap(), "hello");
    let parts = json!([{ "type": "reasoning", "text": "he is angry" }, { "type": "text", "text": "hello" }]);
    assert_eq!(outcome(json!({ "content": parts }), "stop").unwrap(), "hello");
}

#[test]
fn an_answer_that_is_none_is_not_sent() {
    assert_eq!(outcome(json!({ "content": "a filtered beginn" }), "content_filter"), Err("withheld"));
    assert_eq!(outcome(json!({ "content": null, "refusal": "I cannot" }), "stop"), Err("withheld"));
    assert_eq!(outcome(json!({ "content": null, "tool_calls": [{}] }), "tool_calls"), Err("empty"));
    assert_eq!(outcome(json!({ "content": "" }), "length"), Err("empty"));
    assert_eq!(outcome(json!({ "content": " \n" }), "stop"), Err("empty"));
    assert_eq!(outcome(json!({ "content": 5 }), "stop"), Err("empty"));
    assert_eq!(outcome(json!({}), "stop"), Err("empty"));
    for (content, said) in [("<think>hm</think>\n", "nothing but thoughts"), (" \n", "is empty"), ("\u{2}", "is empty")]
    {
        let body = json!({ "choices": [{ "message": { "content": content } }] }).to_string();
        assert!(read(&raw(200, body)).unwrap_err().to_string().contains(said), "{content:?}");
    }
    for body in ["", "<html>login</html>", "[]", "{}", "null", r#"{"choices":[]}"#, r#"{"choices":[{}]}"#, "{\"choi"] {
        assert_eq!(read(&raw(200, body)).unwrap_err().kind, Kind::Unusable, "{body}");
    }
}

#[test]
fn a_fault_in_a_character_costs_no_answer() {
    for body in [
        &br#"{"choices":[{"message":{"content":"hello\ud83d"}}]}"#[..],
        b"\xef\xbb\xbf{\"choices\":[{\"message\":{\"content\":\"hello\"}}]}",
        b"{\"choices\":[{\"message\":{\"content\":\"hel\x02lo\"}}]}",
        b"{\"choices\":[{\"message\":{\"content\":\"hel\\u0008lo\\u007f\\u001b\"}}]}",
    ] {
        assert_eq!(read(&raw(200, body)).unwrap(), "hello");
    }
    assert_eq!(outcome(json!({ "content": "one\r\ntwo\rthree" }), "stop").unwrap(), "one\ntwo\nthree");
}

#[test]
fn the_address_is_suspected_only_when_it_may_be_wrong() {
    for (body, said, suspects) in [
        ("<!DOCTYPE html><html>", "a web page", true),
        (r#"{"status":"ok"}"#, "no chat completion", true),
        ("[]", "no chat completion", true),
        ("", "is empty", false),
        (r#"{"choices":[{"mess"#, "is no JSON, or is cut", false),
        (r#"{"choices":[]}"#, "no choice with a message", false),
        ("data: {\"choices\":[]}\n\n", "streams", false),
        (r#"{"error":{"code":"model_overloaded","message":"HUSH"}}"#, "and an error (model_overloaded)", false),
    ] {
        let failure = read(&raw(200, body)).unwrap_err();
        let text = failure.to_string();
        assert!(failure.kind == Kind::Unusable && text.contains(said) && !text.contains("HUSH"), "{body}: {text}");
        assert_eq!(text.contains("base_url"), suspects, "{body}: {text}");
    }
}

#[test]
fn a_status_says_whether_it_passes_by_itself() {
    let statuses = [
        (301, Kind::Rejected),
        (400, Kind::Unacceptable),
        (401, Kind::Rejected),
        (404, Kind::Rejected),
        (408, Kind::Failed),
        (418, Kind::Rejected),
        (429, Kind::Throttled),
        (500, Kind::Failed),
        (503, Kind::Failed),
        (529, Kind::Failed),
    ];
    for (status, kind) in statuses {
        assert_eq!(read(&raw(status, "")).unwrap_err().kind, kind, "{status}");
    }
    let no_credit = json!({ "error": { "message": "m", "code": "insufficient_quota" } }).to_string();
    assert_eq!(read(&raw(429, no_credit)).unwrap_err().kind, Kind::Rejected);
}

#[test]
fn an_error_shows_its_code_and_nothing_that_the_server_quotes() {
    let body =
        json!({ "error": { "message": "no key sk-SECRET", "type": "t", "code": "invalid_api_key" } }).to_string();
    let text = read(&raw(401, body)).unwrap_err().to_string();
    assert!(text.ends_with("it answered 401 (invalid_api_key)") && !text.contains("SECRET"), "{text}");
    for code in [json!("sk-SECRET"), json!("what the user said"), json!("密码"), json!(401), json!("x".repeat(41))] {
        let body = json!({ "error": { "code": code, "type": null } }).to_string();
        let text = read(&raw(401, body)).unwrap_err().to_string();
        assert!(text.ends_with("it answered 401"), "{text}");
    }
}

#[test]
fn the_servers_wish_goes_before_kefus_own_wait() {
    let after = Duration::from_secs(7);
    let failure = Failure::new(Kind::Throttled, "x").with_retry_after(Some(after));
    assert_eq!(failure.wait(0), after);
    for _ in 0..100 {
        let wait = Failure::new(Kind::Failed, "x").wait(1);
        assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&wait), "{wait:?}");
    }
}

#[test]
fn a_shortened_answer_ends_with_a_whole_character() {
    assert_eq!(shortened("ab".to_owned() + &"🇨🇳".repeat(20), 100), format!("ab{}…", "🇨🇳".repeat(11)));
    assert_eq!(shortened("👨‍👩‍👧‍👦".repeat(20), 100), "👨‍👩‍👧‍👦".repeat(3) + ELLIPSIS);
    let zalgo = "e".to_owned() + &"\u{301}".repeat(100);
    assert_eq!(shortened(zalgo.clone(), 100), zalgo[..97].to_owned() + ELLIPSIS);
}

proptest! {
    #[test]
    fn a_shortened_answer_is_a_beginning_within_the_limit(answer in "\\PC{0,300}", most in 100_usize..400) {
        let short = shortened(answer.clone(), most);
        prop_assert!(short.len() <= most);
        match short.strip_suffix('…') {
            Some(beginning) if answer.len() > most => prop_assert!(answer.starts_with(beginning)),
            _ => prop_assert_eq!(short, answer),
        }
    }
}
