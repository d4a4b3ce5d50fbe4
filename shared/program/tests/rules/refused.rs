//! Rules that are refused, and what is said of them.

use super::*;

#[test]
fn what_wechat_would_refuse_is_refused_at_once() {
    let long = "客".repeat(3_331);
    let cases = [
        (r#"{ text = " " }"#.to_owned(), "text is empty"),
        (format!(r#"{{ text = "{long}" }}"#), "with its long texts in parts of 2000 bytes the rule has 6 replies"),
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
            "with its long texts in parts of 2000 bytes the rule has 3 replies, WeChat takes 2",
        ),
        (
            "[window]\nmessage_replies = 1\n".to_owned() + &rule("{}", &"x".repeat(2_001)),
            "WeChat takes 1 after a user's message",
        ),
        (rule(r#"{ contains = [] }"#, "x"), "when.contains has an empty value"),
        (rule(r#"{ account = "wxnobody" }"#, "x"), "there is no [[account]] wxnobody"),
        (
            rule(r#"{ type = "text" }"#, "x") + &rule(r#"{ contains = "y" }"#, "y"),
            "comes before it and takes every push",
        ),
        (rule(r#"{}"#, "x") + &rule(r#"{ type = "image" }"#, "y"), "comes before it and takes every push"),
        (
            rule(r#"{ type = "event" }"#, "x") + &rule(r#"{ session_from = "y" }"#, "y"),
            "comes before it and takes every push",
        ),
        (
            format!("[[rule]]\nwhen = {{ session_from = \"x\" }}\nreply = [{}]", "{ text = \"x\" },".repeat(3)),
            "has 3 replies, WeChat takes 2",
        ),
        ("[[rule]]\nwhen = {}".to_owned(), "has no action"),
        ("[[rule]]\nreply = [{ text = \"x\" }]".to_owned(), "when is missing"),
        ("[[rule]]\nwhen = {}\nignore = true\nreply = [{ text = \"x\" }]".to_owned(), "both reply and ignore"),
        (
            "[[rule]]\nwhen = { type = \"text\" }\ntransfer = true\nreply = [{ text = \"x\" }]".to_owned(),
            "both reply and transfer",
        ),
        ("[[rule]]\nwhen = { type = \"text\" }\ntransfer = true\nignore = true".to_owned(), "both transfer and ignore"),
        ("[[rule]]\nwhen = { type = \"text\" }\ntransfer = false".to_owned(), "has no action"),
        (format!("[[rule]]\nwhen = {{}}\nreply = [{}]", "{ text = \"x\" },".repeat(6)), "has 6 replies"),
        (rule(r#"{ regex = "a{1000}{1000}" }"#, "x"), "when.regex"),
    ];
    for (rules, expected) in cases {
        let problems = load(&rules).expect_err(expected);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected:?} not in {problems:#?}");
    }
}
