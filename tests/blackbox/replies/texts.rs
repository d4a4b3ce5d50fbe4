//! What is said: placeholders, long texts, who speaks.

use kefu_harness::shop::{Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_simulator::{Cdata, Message, PushRequest};
use kefu_wechat::push::Format;
use serde_json::json;

const RULES: &str = r#"
[[rule]]
when = { type = "text", contains = "link" }
reply = [{ text = "<a href=\"https://shop.example/?q={content}\">{content}</a>" }]
[[rule]]
when = { type = "text", contains = "long" }
reply = [{ text = "LONG" }, { text = "after it" }]
[[rule]]
when = { type = "text", contains = "agent" }
reply = [{ text = "hi", kf_account = "agent@shop", is_ai_msg = true }, { text = "me" }]
[[rule]]
when = { type = "text" }
reply = [{ text = "您说：{content} {\"json\":{}} {{content}}" }]
[[rule]]
when = { event = "user_enter_tempsession" }
reply = [{ text = "{session_from}" }, { text = "welcome from {session_from}" }]
[[rule]]
when = { type = "miniprogrampage" }
reply = [{ text = "{title}: {page_path}" }]
"#;

async fn shop() -> Shop {
    // 5,000 bytes: lines that are not to be torn apart, the last of them longer than a part's rest.
    let long: String = (1..=50).map(|line| format!("{line:02} {}\\n", "x".repeat(96))).collect();
    let rules = RULES.replace("LONG", &long);
    Shop::start(ShopOptions { rules, ..ShopOptions::new(Backend::Embedded) }).await
}

#[tokio::test]
async fn placeholders_are_filled_with_what_the_user_did() {
    let shop = shop().await;
    shop.push("oA", Message::text("hi {title} <a href=\"https://evil.example\">x</a>")).await;
    let said = "hi {title} ＜a href=\"https://evil.example\">x＜/a>";
    let replies = shop.replies_within("oA", 1).await;
    assert_eq!(texts(&replies), [format!("您说：{said} {{\"json\":{{}}}} {{content}}")]);

    shop.push("oB", Message::text("link\" x='>")).await;
    let link = "<a href=\"https://shop.example/?q=link%22%20x=%27%3E\">link\" x='></a>";
    assert_eq!(texts(&shop.replies_within("oB", 1).await), [link]);

    shop.push("oC", Message::enter("order 7")).await;
    assert_eq!(texts(&shop.replies_within("oC", 2).await), ["order 7", "welcome from order 7"]);
    // What comes out blank is left out.
    shop.push("oD", Message::enter("")).await;
    assert_eq!(texts(&shop.replies_within("oD", 1).await), ["welcome from "]);

    let card = Message::Miniprogrampage {
        title: "杯子".into(),
        app_id: String::new(),
        page_path: "pages/cup?id=1&x=2".into(),
        thumb_url: String::new(),
        thumb_media_id: String::new(),
    };
    shop.push("oE", card).await;
    assert_eq!(texts(&shop.replies_within("oE", 1).await), ["杯子: pages/cup?id=1&x=2"]);
}

#[tokio::test]
async fn a_text_that_wechat_does_not_escape_is_answered_as_it_was_written() {
    let shop = shop().await;
    let as_it_is = |message: Message| PushRequest {
        cdata: Cdata::AsItIs,
        format: Some(Format::Xml),
        ..PushRequest::new(shop.appid(), "oA", message)
    };
    let (text, title) = ("<status><![CDATA[1]]></status>", "arr[b[0]]>1");
    let card = Message::Miniprogrampage {
        title: title.to_owned(),
        app_id: String::new(),
        page_path: "]]></MsgType><!--".to_owned(),
        thumb_url: String::new(),
        thumb_media_id: String::new(),
    };
    for message in [Message::text(text), card] {
        let report = shop.send(as_it_is(message)).await;
        assert!(report.answered && !report.fault_notice, "{report:?}");
    }
    let replies = shop.replies_within("oA", 2).await;
    // A user's tags are said in other characters.
    assert_eq!(
        texts(&replies),
        ["您说：＜status><![CDATA[1]]>＜/status> {\"json\":{}} {content}", "arr[b[0]]>1: ]]>＜/MsgType><!--"]
    );
}

#[tokio::test]
async fn a_long_text_comes_in_parts_in_order_and_no_line_is_torn() {
    let shop = shop().await;
    shop.push("oA", Message::text("long")).await;
    let replies = shop.replies_within("oA", 4).await;
    let parts = texts(&replies);
    assert_eq!(parts[3], "after it");
    let lines: Vec<&str> = parts[..3].iter().flat_map(|part| part.lines()).collect();
    assert_eq!(lines.len(), 50);
    assert!(lines.iter().enumerate().all(|(index, line)| line.starts_with(&format!("{:02} ", index + 1))), "{lines:?}");
    assert!(lines.iter().all(|line| line.len() == 99) && parts.iter().all(|part| part.len() <= 2_000));
}

#[tokio::test]
async fn what_a_user_writes_at_length_is_cut_to_what_the_window_allows() {
    let shop = shop().await;
    shop.push("oA", Message::text("字".repeat(5_000))).await;
    let replies = shop.replies_within("oA", 5).await;
    let parts = texts(&replies);
    assert!(parts[0].starts_with("您说：字") && parts[4].ends_with("字…"), "{parts:?}");
    assert!(parts.iter().all(|part| part.len() <= 2_000));
}

#[tokio::test]
async fn who_speaks_and_which_sub_merchant_it_is_for_is_said() {
    let shop = shop().await;
    let raw = json!({
        "ToUserName": "gh_1", "FromUserName": "oA", "CreateTime": 1_700_000_000, "MsgType": "text", "MsgId": 1,
        "Content": "agent", "BusinessId": 7,
    });
    shop.push("oA", Message::Raw { text: raw.to_string() }).await;
    shop.push("oB", Message::text("agent")).await;
    let mut replies = shop.replies_within("oA", 2).await;
    assert_eq!(replies[0]["businessid"], 7);
    assert_eq!(replies[1], json!({ "touser": "oA", "msgtype": "text", "text": { "content": "me" }, "businessid": 7 }));
    replies = shop.replies_within("oB", 2).await;
    let spoken = json!({
        "touser": "oB", "msgtype": "text", "text": { "content": "hi" },
        "customservice": { "kf_account": "agent@shop" }, "aimsgcontext": { "is_ai_msg": 1 },
    });
    assert_eq!(replies[0], spoken);
}

#[tokio::test]
async fn control_characters_leave_no_reply() {
    let link = r#"{ title = "a\u0002", description = "b\r\nc\u001b", url = "https://x.example/\u0003", thumb_url = "https://x.example/t.png\u007f" }"#;
    let card = r#"{ title = "a\u0002", pagepath = "pages/a\u0003", thumb = "code.png" }"#;
    let rules = format!(
        "[[rule]]\nwhen = {{ type = \"text\", contains = \"link\" }}\n\
         reply = [{{ link = {link} }}, {{ miniprogrampage = {card}, kf_account = \"agent@shop\\u0004\" }}]\n{RULES}"
    );
    let shop = Shop::start(ShopOptions { rules, ..ShopOptions::new(Backend::Embedded) }).await;
    shop.push("oA", Message::text("one\u{2}\u{8}\r\n\ttwo\u{1b}[0m\u{7f}")).await;
    let said = "您说：one\n\ttwo[0m {\"json\":{}} {content}";
    assert_eq!(texts(&shop.replies_within("oA", 1).await), [said]);

    shop.push("oB", Message::text("link")).await;
    let replies = shop.replies_within("oB", 2).await;
    let link = json!({
        "title": "a", "description": "b\nc", "url": "https://x.example/", "thumb_url": "https://x.example/t.png"
    });
    assert_eq!(replies[0]["link"], link);
    let card = &replies[1]["miniprogrampage"];
    assert_eq!((&card["title"], &card["pagepath"]), (&json!("a"), &json!("pages/a")));
    assert_eq!(replies[1]["customservice"]["kf_account"], "agent@shop");

    // What comes out blank is left out.
    shop.push("oC", Message::enter("\u{2}\u{7f}")).await;
    assert_eq!(texts(&shop.replies_within("oC", 1).await), ["welcome from "]);

    assert_eq!(shop.calls("custom/send").len(), 4, "each is taken at once");
    let output = shop.stack.programs[0].output();
    let notice = "[[rule]] 1 reply 1: link.title has control characters that WeChat refuses, and is sent without them: \
                  U+0002 (character 2)";
    assert!(output.contains("a text of the configuration is not sent as it is written"), "{output}");
    assert!(output.contains(notice), "{output}");
}

#[tokio::test]
async fn half_a_character_of_a_push_leaves_in_no_reply() {
    use kefu_harness::wechat::Format;
    let shop = shop().await;
    let account = &shop.accounts[0];
    for (user, format, content, said) in [
        ("oA", Format::Json, &br"\ud83d\u534a\ude00\u4e2a"[..], "半个"),
        ("oB", Format::Xml, "&#xD83D;半&#xDE00;个".as_bytes(), "半个"),
        ("oC", Format::Json, b"Hi\xe6\x82", "Hi"),
        ("oD", Format::Json, br"link\ud83d", "link"),
    ] {
        // No rule answers it: it opens the window at the simulated WeChat, which does not see the push itself.
        shop.push(user, Message::image()).await;
        let push = kefu_harness::wechat::Message::text(user, "@").to_text(format);
        let mark = if format == Format::Xml { "<![CDATA[@]]>" } else { "@" };
        let (before, after) = push.split_once(mark).unwrap();
        let bytes = [before.as_bytes(), content, after.as_bytes()].concat();
        let answer = shop.stack.pushes.send(&account.appid, &account.push_raw(format, &bytes)).await;
        assert_eq!(answer.status, 200, "{user}: {answer:?}");
        let expected = match said {
            "link" => "<a href=\"https://shop.example/?q=link\">link</a>".to_owned(),
            said => format!("您说：{said} {{\"json\":{{}}}} {{content}}"),
        };
        assert_eq!(texts(&shop.replies_within(user, 1).await), [expected], "{user}");
    }
}

#[tokio::test]
async fn flags_and_families_are_whole_in_every_part() {
    let shop = shop().await;
    let (flags, families) = ("a".to_owned() + &"🇨🇳".repeat(260), "👨‍👩‍👧‍👦".repeat(130));
    for (user, said, cluster) in [("oA", &flags, "🇨🇳"), ("oB", &families, "👨‍👩‍👧‍👦")] {
        shop.push(user, Message::text(said.as_str())).await;
        let replies = shop.replies_within(user, 2).await;
        let parts = texts(&replies);
        assert!(parts[0].ends_with(cluster) && parts[1].starts_with(cluster), "{parts:?}");
        assert!(parts.concat().contains(said.as_str()) && parts.iter().all(|part| part.len() <= 2_000), "{parts:?}");
    }
    // Even what is cut to the window ends with a whole one.
    shop.push("oC", Message::text("🇨🇳".repeat(2_000))).await;
    let replies = shop.replies_within("oC", 5).await;
    let parts = texts(&replies);
    assert!(parts[..4].iter().all(|part| part.ends_with("🇨🇳")) && parts[4].ends_with("🇨🇳…"), "{parts:?}");
    let shown: String = parts.concat().replace("您说：", "").replace('…', "");
    assert_eq!(shown, "🇨🇳".repeat(shown.len() / "🇨🇳".len()));
}
