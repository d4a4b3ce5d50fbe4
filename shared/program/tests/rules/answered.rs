//! Rules by which ingress answers: transfers, and webhooks that decide.

use super::*;

#[test]
fn a_transfer_decides_as_every_rule_and_what_is_too_late_for_it_gets_the_next() {
    let transfer = |when: &str| format!("[[rule]]\nwhen = {when}\ntransfer = true\n");
    let rules = [
        rule(r#"{ contains = "bot" }"#, "bot"),
        transfer(r#"{ contains = "human" }"#),
        transfer(r#"{ type = ["image", "MiniProgramPage"] }"#),
        rule("{}", "any"),
    ];
    let rules = load(&rules.concat()).unwrap();
    let image = push(json!({ "MsgType": "image", "MsgId": 1 }));
    let card = push(json!({ "MsgType": "miniprogrampage", "MsgId": 1 }));
    for transferred in [text("a Human, please"), image, card] {
        assert!(rules.transfers("wx1", &transferred), "{transferred:?}");
        let late = rules.decide_unanswered("wx1", &transferred).map(Rule::place);
        assert_eq!(late, Some("[[rule]] 4"), "{transferred:?}");
    }
    for other in [text("hi"), text("human or bot?"), enter("human"), push(json!({ "MsgType": "voice", "MsgId": 1 }))] {
        assert!(!rules.transfers("wx1", &other), "{other:?}");
        let place = rules.decide("wx1", &other).map(Rule::place);
        assert_eq!(rules.decide_unanswered("wx1", &other).map(Rule::place), place, "{other:?}");
    }
    let only = load(&transfer(r#"{ regex = "." }"#)).unwrap();
    assert!(only.transfers("wx1", &text("x")) && only.decide_unanswered("wx1", &text("x")).is_none());
}

#[test]
fn a_transfer_that_could_take_an_event_is_refused() {
    let expected = "only users' messages can be transferred";
    let transfer = |when: &str| load(&format!("[[rule]]\nwhen = {when}\ntransfer = true"));
    for when in [
        "{}",
        r#"{ account = "wx1" }"#,
        r#"{ type = "event" }"#,
        r#"{ event = "user_enter_tempsession" }"#,
        r#"{ session_from = "order" }"#,
        r#"{ type = ["text", "event"] }"#,
        r#"{ type = ["text", "voice"] }"#,
    ] {
        let problems = transfer(when).expect_err(when);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{when}: {problems:#?}");
    }
    for when in [r#"{ type = "Text" }"#, r#"{ type = ["text", "event"], contains = "x" }"#, r#"{ regex = "x" }"#] {
        assert!(transfer(when).is_ok(), "{when}: {:#?}", transfer(when).err());
    }
}

#[test]
fn a_sync_webhook_is_for_ingress_and_what_is_too_late_for_it_gets_the_next() {
    let webhook = |more: &str| format!("webhook = {{ url = \"http://127.0.0.1/\"{more} }}\n");
    let rules = [
        "[webhook]\nsecret = \"0123456789abcdef\"\n".to_owned(),
        rule(r#"{ session_from = "vip" }"#, "vip"),
        format!("[[rule]]\nwhen = {{ event = \"user_enter_tempsession\" }}\n{}", webhook(", sync = true")),
        format!("[[rule]]\nwhen = {{}}\n{}", webhook("")),
    ];
    let rules = load(&rules.concat()).unwrap();
    assert!(rules.synchronous("wx1", &enter("order")).is_some());
    assert!(rules.synchronous("wx1", &enter("vip")).is_none() && rules.synchronous("wx1", &text("order")).is_none());
    let unanswered = |push: &Push| rules.decide_unanswered("wx1", push).map(Rule::place).map(str::to_owned);
    assert_eq!(unanswered(&enter("order")).as_deref(), Some("[[rule]] 3"));
    assert_eq!(unanswered(&text("order")).as_deref(), Some("[[rule]] 3"));
}
