//! Which rule a push meets.

use proptest::prelude::*;

use super::*;

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

proptest! {
    #[test]
    fn a_text_is_found_whatever_the_case_and_whatever_surrounds_it(before in ".{0,20}", after in ".{0,20}") {
        let rules = rule(r#"{ contains = "Qr Code" }"#, "x");
        prop_assert_eq!(replies(&rules, &text(&format!("{before}qR cODE{after}"))).len(), 1);
    }
}
