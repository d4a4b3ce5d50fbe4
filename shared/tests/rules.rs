//! Which push gets which replies, and which rules are refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::sync::Arc;

use kefu_shared::config;
use kefu_shared::reply::Content;
use kefu_shared::rules::{Action, Rule, Rules};
use kefu_shared::wechat::push::Push;
use proptest::prelude::*;

const HEAD: &str = r#"
[queue]
url = "embedded:data"
[store]
url = "embedded:data"
[[account]]
appid = "wx1"
secret = "s"
token = "t"
mode = "plain"
[[account]]
appid = "wx2"
secret = "s"
token = "t"
mode = "plain"
"#;

fn load(rules: &str) -> Result<Arc<Rules>, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kefu.toml"), format!("{HEAD}{rules}")).unwrap();
    fs::write(folder.path().join("code.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    fs::write(folder.path().join("large.png"), b"\x89PNG").unwrap();
    fs::File::options().write(true).open(folder.path().join("large.png")).unwrap().set_len(3_000_000).unwrap();
    let loaded = config::load_with(&folder.path().join("kefu.toml"), []);
    loaded.map(|config| config.rules.current()).map_err(|errors| errors.problems().to_vec())
}

fn push(fields: &str) -> Push {
    Push::parse(&format!(r#"{{"FromUserName":"oUSER","CreateTime":1,{fields}}}"#)).unwrap()
}

fn text(content: &str) -> Push {
    push(&format!(r#""MsgType":"text","MsgId":1,"Content":{}"#, serde_json::to_string(content).unwrap()))
}

fn enter(session_from: &str) -> Push {
    push(&format!(r#""MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"{session_from}""#))
}

/// The texts that the rules reply with.
fn replies(rules: &str, push: &Push) -> Vec<String> {
    let rules = load(rules).expect("the rules are good");
    let Some(Action::Reply(replies)) = rules.decide("wx1", push).map(Rule::action) else { return Vec::new() };
    let texts = replies.iter().map(|reply| match &reply.content {
        Content::Text(text) => text.clone(),
        _ => reply.kind().to_owned(),
    });
    texts.collect()
}

fn rule(when: &str, reply: &str) -> String {
    format!("[[rule]]\nwhen = {when}\nreply = [{{ text = \"{reply}\" }}]\n")
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = [
        rule(r#"{ type = "text", contains = ["二维码", "QR Code"] }"#, "code"),
        rule(r#"{ type = "text" }"#, "text"),
        rule("{}", "any"),
    ]
    .concat();
    assert_eq!(replies(&rules, &text("请发二维码")), ["code"]);
    assert_eq!(replies(&rules, &text("send me the qr code")), ["code"]);
    assert_eq!(replies(&rules, &text("hello")), ["text"]);
    assert_eq!(replies(&rules, &enter("x")), ["any"]);
}

#[test]
fn no_match_and_ignore_both_mean_no_reply() {
    assert!(replies(&rule(r#"{ type = "image" }"#, "x"), &text("hi")).is_empty());
    let ignore = "[[rule]]\nwhen = { contains = \"spam\" }\nignore = true\n".to_owned() + &rule("{}", "any");
    assert!(replies(&ignore, &text("spam!")).is_empty());
    assert_eq!(replies(&ignore, &text("ham")), ["any"]);
}

#[test]
fn each_condition_narrows() {
    let cases = [
        (r#"{ account = "wx1" }"#, text("a"), true),
        (r#"{ account = ["wx2"] }"#, text("a"), false),
        (r#"{ type = ["image", "TEXT"] }"#, text("a"), true),
        (r#"{ event = "USER_ENTER_TEMPSESSION" }"#, enter("x"), true),
        (r#"{ event = "other" }"#, enter("x"), false),
        (r#"{ regex = "^[0-9]+$" }"#, text("123"), true),
        (r#"{ regex = "^[0-9]+$" }"#, text("12x"), false),
        (r#"{ session_from = "order" }"#, enter(r#"{\"page\":\"Order\"}"#), true),
        (r#"{ session_from = "order" }"#, enter("cart"), false),
        (r#"{ contains = "a", regex = "b" }"#, text("a"), false),
        (r#"{ contains = "order" }"#, enter("order"), false),
    ];
    for (when, push, matches) in cases {
        assert_eq!(!replies(&rule(when, "x"), &push).is_empty(), matches, "{when} on {push:?}");
    }
}

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
    let image = push(r#""MsgType":"image","MsgId":1"#);
    let card = push(r#""MsgType":"miniprogrampage","MsgId":1"#);
    for transferred in [text("a Human, please"), image, card] {
        assert!(rules.transfers("wx1", &transferred), "{transferred:?}");
        let late = rules.decide_unanswered("wx1", &transferred).map(Rule::place);
        assert_eq!(late, Some("[[rule]] 4"), "{transferred:?}");
    }
    for other in [text("hi"), text("human or bot?"), enter("human"), push(r#""MsgType":"voice","MsgId":1"#)] {
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

#[test]
fn all_four_kinds_of_reply_are_read_in_their_order() {
    let rules = r#"
        [[rule]]
        when = {}
        reply = [
            { image = "code.png" },
            { text = "长按识别二维码" },
            { link = { title = "t", description = "d", url = "https://x/y", thumb_url = "https://x/z.png" } },
            { miniprogrampage = { title = "t", pagepath = "pages/a?x=1", thumb = "code.png" } },
        ]"#;
    assert_eq!(replies(rules, &text("a")), ["image", "长按识别二维码", "link", "miniprogrampage"]);
}

#[test]
fn what_wechat_would_refuse_is_refused_at_once() {
    let long = "客".repeat(3_331);
    let cases = [
        (r#"{ text = " " }"#.to_owned(), "text is empty"),
        (format!(r#"{{ text = "{long}" }}"#), "with its long texts in parts of 2000 bytes it has 6 replies"),
        (
            r#"{ text = "dear {nickname}" }"#.to_owned(),
            "there is no placeholder {nickname}; there are {content}, {session_from}",
        ),
        (r#"{ text = "<a href='https://x'>x" }"#.to_owned(), "has no </a>"),
        (
            r#"{ text = "<a data-miniprogram-appid='wx9' data-miniprogram-path='p'>x</a>" }"#.to_owned(),
            "must be the sending mini program's own, not wx9",
        ),
        (r#"{ text = "x", kf_account = "agent" }"#.to_owned(), "kf_account must be"),
        (r#"{ image = "absent.png" }"#.to_owned(), "cannot be read"),
        (r#"{ image = "notes.txt" }"#.to_owned(), "is no PNG, JPEG or GIF"),
        (r#"{ image = "large.png" }"#.to_owned(), "the most is 2097152"),
        (
            r#"{ link = { title = "", description = "d", url = "shop.example", thumb_url = "https://x" } }"#.to_owned(),
            "link.title is empty",
        ),
        (
            r#"{ link = { title = "t", description = "d", url = "shop.example", thumb_url = "https://x" } }"#
                .to_owned(),
            "link.url must be an http",
        ),
        (r#"{ link = { title = "t" } }"#.to_owned(), "missing"),
        (
            r#"{ link = { title = "t", description = "d", url = "https://x", thumb_url = "https://x/a.gif" } }"#
                .to_owned(),
            "link.thumb_url must be a JPG or PNG, not gif",
        ),
        (r#"{ miniprogrampage = { title = "t", pagepath = "", thumb = "code.png" } }"#.to_owned(), "pagepath is empty"),
        (
            r#"{ miniprogrampage = { title = "t", pagepath = "/pages/a", thumb = "code.png" } }"#.to_owned(),
            "miniprogrampage.pagepath must be a page as in app.json",
        ),
        (
            r#"{ miniprogrampage = { title = "t", pagepath = "p", thumb = "code.png", appid = "wx1" } }"#.to_owned(),
            "miniprogrampage.appid must be an appid",
        ),
        (r#"{ voice = "x" }"#.to_owned(), "voice"),
    ];
    for (reply, expected) in cases {
        let problems = load(&format!("[[rule]]\nwhen = {{}}\nreply = [{reply}]")).expect_err(expected);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected:?} not in {problems:#?}");
    }
}

#[test]
fn texts_may_have_braces_placeholders_links_and_more_than_one_part() {
    let good = [
        rule(r#"{ type = "text" }"#, "you said {content}, not {100}, {{name}} or {}"),
        rule(r#"{ event = "user_enter_tempsession" }"#, "from {session_from}"),
        rule(r#"{ type = "miniprogrampage" }"#, "{title} {page_path}"),
        rule("{}", "{content}{session_from}{title}{page_path}"),
        rule(r#"{ type = "text" }"#, "<a href='x' data-miniprogram-appid='wx2' data-miniprogram-path='p'>x</a>"),
        rule("{}", &"x".repeat(10_000)),
        rule("{}", &("{content}".to_owned() + &"x".repeat(9_995))),
    ];
    for rules in good {
        load(&rules).expect(&rules);
    }
}

#[test]
fn a_rule_that_can_never_match_or_says_nothing_is_refused() {
    let cases = [
        (rule(r#"{ type = "image", contains = "x" }"#, "x"), "can never match"),
        (rule(r#"{ type = "text", event = "x" }"#, "x"), "can never match"),
        (rule(r#"{ contains = "x", event = "x" }"#, "x"), "can never match"),
        (rule(r#"{ event = "other", session_from = "x" }"#, "x"), "can never match"),
        (rule(r#"{ type = "event" }"#, "you said {content}"), "{content} is always empty"),
        (rule(r#"{ contains = "x" }"#, "{session_from}"), "{session_from} is always empty"),
        (rule(r#"{ event = "other" }"#, "{session_from}"), "{session_from} is always empty"),
        (rule(r#"{ type = ["text", "image"] }"#, "{title}"), "{title} is always empty"),
        (
            rule(r#"{ account = "wx1" }"#, "<a data-miniprogram-appid='wx2' data-miniprogram-path='p'>x</a>"),
            "must be the sending mini program's own, not wx2",
        ),
        (
            rule(r#"{ session_from = "x" }"#, &"x".repeat(4_001)),
            "with its long texts in parts of 2000 bytes it has 3 replies, WeChat takes 2",
        ),
        (
            "[window]\nmessage_replies = 1\n".to_owned() + &rule("{}", &"x".repeat(2_001)),
            "WeChat takes 1 after a user's message",
        ),
        (rule(r#"{ contains = [] }"#, "x"), "when.contains has an empty value"),
        (rule(r#"{ account = "wxnobody" }"#, "x"), "there is no [[account]] wxnobody"),
        (rule(r#"{ type = "text" }"#, "x") + &rule(r#"{ contains = "y" }"#, "y"), "comes before it and takes all"),
        (rule(r#"{}"#, "x") + &rule(r#"{ type = "image" }"#, "y"), "comes before it and takes all"),
        (rule(r#"{ type = "event" }"#, "x") + &rule(r#"{ session_from = "y" }"#, "y"), "comes before it and takes all"),
        (
            format!("[[rule]]\nwhen = {{ session_from = \"x\" }}\nreply = [{}]", "{ text = \"x\" },".repeat(3)),
            "has 3 replies, WeChat takes 2",
        ),
        ("[[rule]]\nwhen = {}".to_owned(), "says nothing"),
        ("[[rule]]\nreply = [{ text = \"x\" }]".to_owned(), "when is missing"),
        ("[[rule]]\nwhen = {}\nignore = true\nreply = [{ text = \"x\" }]".to_owned(), "both reply and ignore"),
        (
            "[[rule]]\nwhen = { type = \"text\" }\ntransfer = true\nreply = [{ text = \"x\" }]".to_owned(),
            "both reply and transfer",
        ),
        ("[[rule]]\nwhen = { type = \"text\" }\ntransfer = true\nignore = true".to_owned(), "both transfer and ignore"),
        ("[[rule]]\nwhen = { type = \"text\" }\ntransfer = false".to_owned(), "says nothing"),
        (format!("[[rule]]\nwhen = {{}}\nreply = [{}]", "{ text = \"x\" },".repeat(6)), "has 6 replies"),
        (rule(r#"{ regex = "a{1000}{1000}" }"#, "x"), "when.regex"),
    ];
    for (rules, expected) in cases {
        let problems = load(&rules).expect_err(expected);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected:?} not in {problems:#?}");
    }
}

proptest! {
    #[test]
    fn a_text_is_found_whatever_the_case_and_whatever_surrounds_it(before in ".{0,20}", after in ".{0,20}") {
        let rules = rule(r#"{ contains = "Qr Code" }"#, "x");
        prop_assert_eq!(replies(&rules, &text(&format!("{before}qR cODE{after}"))).len(), 1);
    }

    #[test]
    fn what_is_explained_is_what_is_decided(
        whens in proptest::collection::vec(any_when(), 1..6),
        appid in prop::sample::select(vec!["wx1", "wx2"]),
        push in any_push(),
    ) {
        let rules: String = whens.iter().enumerate().map(|(n, when)| rule(when, &n.to_string())).collect();
        // Some can never match, or have another before them that takes all.
        let Ok(rules) = load(&rules) else { return Err(TestCaseError::reject("refused")) };
        let explained = rules.iter().find(|rule| rule.mismatch(appid, &push).is_none());
        let decided = rules.decide(appid, &push);
        prop_assert_eq!(explained.map(Rule::place), decided.map(Rule::place));
    }
}

fn any_when() -> impl Strategy<Value = String> {
    let conditions = [
        "account = \"wx1\"",
        "type = [\"text\", \"image\"]",
        "type = \"event\"",
        "event = \"user_enter_tempsession\"",
        "contains = [\"a\", \"B\"]",
        "regex = \"^[a-c]+$\"",
        "session_from = \"a\"",
    ];
    prop::sample::subsequence(conditions.to_vec(), 0..3).prop_map(|given| {
        let mut keys: Vec<&str> = given.iter().filter_map(|condition| condition.split(' ').next()).collect();
        keys.dedup();
        // A key twice is no TOML.
        let given = if keys.len() == given.len() { given.join(", ") } else { String::new() };
        format!("{{ {given} }}")
    })
}

fn any_push() -> impl Strategy<Value = Push> {
    prop_oneof![
        "[abcX ]{0,4}".prop_map(|content| text(&content)),
        "[abX]{0,3}".prop_map(|from| enter(&from)),
        Just(push(r#""MsgType":"image","MsgId":1"#)),
        Just(push(r#""MsgType":"event","Event":"other""#)),
        Just(push(r#""MsgType":"strange""#)),
    ]
}

#[test]
fn why_a_rule_does_not_match_is_said_in_words() {
    let cases = [
        (r#"{ account = ["wx2"] }"#, text("a"), r#"account "wx2": it came to "wx1""#),
        (r#"{ type = ["image", "event"] }"#, text("a"), r#"type "image" or "event": it is "text""#),
        (r#"{ event = "other" }"#, enter("x"), r#"event "other": it is "user_enter_tempsession""#),
        (r#"{ event = "other" }"#, text("a"), r#"event "other": it is no event but "text""#),
        (r#"{ contains = "B" }"#, text("a"), r#"contains "b": not found in the text"#),
        (r#"{ contains = "b" }"#, enter("x"), r#"contains "b": it is no text but "user_enter_tempsession""#),
        (r#"{ regex = "^b" }"#, text("a"), r#"regex "^b": not found in the text"#),
        (r#"{ session_from = "b" }"#, enter("a"), r#"session_from "b": not found in "a""#),
        (r#"{ session_from = "b" }"#, enter(""), r#"session_from "b": its SessionFrom is empty"#),
        (r#"{ session_from = "b" }"#, text("a"), r#"session_from "b": it is not user_enter_tempsession but "text""#),
    ];
    for (when, push, words) in cases {
        let rules = load(&rule(when, "x")).unwrap();
        assert_eq!(rules.iter().next().unwrap().mismatch("wx1", &push).as_deref(), Some(words), "{when}");
    }
    let rules = rule(r#"{ type = "text", contains = ["a", "b"] }"#, "x") + &rule("{}", "y");
    let rules = load(&rules).unwrap();
    let whens: Vec<String> = rules.iter().map(Rule::when).collect();
    assert_eq!(whens, [r#"type "text", contains "a" or "b""#, "every push"]);
}
