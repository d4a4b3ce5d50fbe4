use kefu_program::testing::config;

use super::*;

fn malformed(body: &str) -> String {
    match parse(body.as_bytes()) {
        Err(Refusal::MalformedRequest(what)) => what,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_shape_is_said_with_its_place() {
    for (body, said) in [
        ("", "the body: EOF"),
        ("hello", "the body: expected value"),
        ("[]", "the body: must be an object"),
        ("{}", "the body: missing field `to`"),
        (r#"{"to":"oU"}"#, "the body: missing field `replies`"),
        (r#"{"to":7,"replies":[]}"#, "to: must be a string"),
        (r#"{"to":"oU","to":"oU","replies":[]}"#, "the body: duplicate field"),
        (r#"{"to":"oU","replies":{"text":"hi"}}"#, "replies: must be a sequence"),
        (r#"{"to":"oU","reply":[{"text":"hi"}]}"#, "reply: unknown field"),
        (r#"{"to":"oU","replies":[{"text":"hi"}]} x"#, "the body: trailing characters"),
        (r#"{"to":"oU","replies":["hi"]}"#, "replies[0]: must be an object"),
        (r#"{"to":"oU","replies":[{"text":"hi"},{}]}"#, "replies[1]: must have exactly one of text, image"),
        (r#"{"to":"oU","replies":[{"text":"hi","image":"a.png"}]}"#, "replies[0]: must have exactly one of"),
        (r#"{"to":"oU","replies":[{"txt":"hi"}]}"#, "replies[0]: must have exactly one of"),
        (r#"{"to":"oU","replies":[{"text":"hi","ai":true}]}"#, "replies[0].ai: there is no such field"),
        (r#"{"to":"oU","replies":[{"link":{"title":"t"}}]}"#, "replies[0].link: missing field"),
        (r#"{"to":"oU","replies":[{"text":"hi","is_ai_msg":1}]}"#, "replies[0].is_ai_msg: must be a boolean"),
        (r#"{"to":"oU","replies":[{"text":"hi","image":null}]}"#, "replies[0].image: is null"),
        (r#"{"to":"oU","replies":[{"text":"hi"}],"business_id":null}"#, "business_id: must be a JSON number"),
        (r#"{"to":"oU","replies":[{"text":"hi"}],"business_id":-1}"#, "business_id: must be a whole number"),
        (r#"{"to":"oU","replies":[{"text":"hi"}],"business_id":1.5}"#, "business_id: must be a whole number"),
    ] {
        let what = malformed(body);
        assert!(what.starts_with(said), "{body}: {what:?} does not start with {said:?}");
    }
}

#[test]
fn a_fault_in_a_text_is_mended_and_control_characters_are_left_out() {
    let text_of = |body: &[u8]| serde_json::to_value(&parse(body).unwrap().replies[0]).unwrap()["text"].clone();
    for body in [
        &br#"{"to":"oU","replies":[{"text":"hi\ud83d"}]}"#[..],
        b"\xef\xbb\xbf{\"to\":\"oU\",\"replies\":[{\"text\":\"hi\"}]}",
        b"{\"to\":\"oU\",\"replies\":[{\"text\":\"h\x02i\"}]}",
        br#"{"to":"oU","replies":[{"text":"\u0008h\u001bi\u007f"}]}"#,
    ] {
        assert_eq!(text_of(body), "hi");
    }
    assert_eq!(text_of(b"{\"to\":\"oU\",\"replies\":[{\"text\":\"one\r\n\ttwo\\d\"}]}"), "one\n\ttwo\\d");
    // The problem names the place of a further mistake in the repaired body.
    assert!(malformed("\u{feff}{\"to\":\"oU\",\"replies\":[{\"txt\":\"hi\"}]}").starts_with("replies[0]: must have"));
}

#[test]
fn a_text_of_control_characters_alone_is_blank() {
    let (config, _folder) = config("");
    let request = parse(br#"{"to":"oU","replies":[{"text":"\u0002\u0003 "}]}"#).unwrap();
    let Err(Refusal::Unsendable(problems)) = check(request, &config) else { panic!("taken") };
    assert_eq!(problems, ["replies[0]: nothing is left of text without control characters"]);
}

#[test]
fn a_whole_number_is_one_however_it_is_written() {
    for written in ["7", "7.0", "70e-1"] {
        let body = format!(r#"{{"to":"oU","replies":[{{"text":"hi"}}],"business_id":{written}}}"#);
        assert_eq!(parse(body.as_bytes()).unwrap().business_id, Some(7), "{written}");
    }
}

fn check(request: SendRequest, config: &Config) -> Result<OutboundMessage, Refusal> {
    let message = OutboundMessage::from(request);
    judge(&message, config).map(|()| message)
}

#[test]
fn all_that_cannot_be_sent_is_said_at_once() {
    let (config, _folder) = config("");
    let body = r#"{"to":"a b","replies":[{"text":""},{"image":"/etc/passwd"},{"image":"absent.png"}],"business_id":9007199254740992}"#;
    let Err(Refusal::Unsendable(problems)) = check(parse(body.as_bytes()).unwrap(), &config) else { panic!("taken") };
    let starts =
        ["to: must be", "business_id: must", "replies[0]: text is", "replies[1]: image must", "replies[2]: image"];
    assert_eq!(problems.len(), starts.len(), "{problems:?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn bodies_that_say_the_same_have_one_fingerprint() {
    let (config, _folder) = config("");
    let fingerprint = |body: &str| check(parse(body.as_bytes()).unwrap(), &config).unwrap().fingerprint;
    let one = fingerprint(r#"{"to":"oU","replies":[{"text":"\u4f60好"}]}"#);
    assert_eq!(one, fingerprint("{ \"replies\": [ {\"is_ai_msg\": false, \"text\": \"你好\"} ],\n \"to\": \"oU\" }"));
    for other in [
        r#"{"to":"oV","replies":[{"text":"你好"}]}"#,
        r#"{"to":"oU","replies":[{"text":"你好!"}]}"#,
        r#"{"to":"oU","replies":[{"text":"你好"},{"text":"你好"}]}"#,
        r#"{"to":"oU","replies":[{"text":"你好"}],"business_id":1}"#,
    ] {
        assert_ne!(one, fingerprint(other), "{other}");
    }
}

#[test]
fn debug_shows_neither_who_is_written_to_nor_what() {
    let (config, _folder) = config("");
    let request =
        parse(r#"{"to":"oUSER0123456789abcdef","replies":[{"text":"hush"}],"business_id":1}"#.as_bytes()).unwrap();
    let shown = format!(
        "{request:?} {:?}",
        check(parse(br#"{"to":"oUSER0123456789abcdef","replies":[{"text":"hush"}]}"#).unwrap(), &config)
    );
    assert!(!shown.contains("0123456789") && !shown.contains("hush") && shown.contains("oUS…def"), "{shown}");
}
