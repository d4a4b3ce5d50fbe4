//! Replies as rules have them.

use super::*;

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
