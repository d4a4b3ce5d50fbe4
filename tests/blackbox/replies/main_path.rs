//! Every kind of message in every mode and format, on both backends.

use futures_util::future::join_all;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_harness::wechat::{Account, Mode};
use kefu_simulator::{Limits, Message, PushRequest};
use kefu_wechat::push::Format;
use serde_json::json;

/// What a user does, and the replies to it without the parts that are made up at run time.
fn kinds() -> Vec<(&'static str, Message, Vec<serde_json::Value>)> {
    let card = Message::Miniprogrampage {
        title: "订单 <1>".into(),
        app_id: String::new(),
        page_path: "pages/order?id=1&x=2".into(),
        thumb_url: String::new(),
        thumb_media_id: String::new(),
    };
    let link = json!({ "title": "t", "description": "d", "url": "https://shop.example/", "thumb_url": "https://shop.example/t.png" });
    vec![
        (
            "text",
            Message::text("hello"),
            vec![json!({ "msgtype": "text", "text": { "content": "text: 你好 <b>&</b> \"]]>" } })],
        ),
        (
            "text with two replies",
            Message::text("your CODE, please"),
            vec![json!({ "msgtype": "image" }), json!({ "msgtype": "text", "text": { "content": "scan it" } })],
        ),
        ("image", Message::image(), vec![json!({ "msgtype": "link", "link": link })]),
        ("card", card, vec![json!({ "msgtype": "miniprogrampage" })]),
        ("enter", Message::enter("order"), vec![json!({ "msgtype": "text", "text": { "content": "welcome" } })]),
        ("unknown type", Message::Other { msg_type: "hologram".into(), fields: Default::default() }, vec![]),
        ("unknown event", Message::Event { event: "some_new_event".into(), fields: Default::default() }, vec![]),
    ]
}

async fn every_kind_is_answered_and_replied_to(backend: Backend) {
    let mut options = ShopOptions::new(backend);
    options.accounts = Mode::ALL.map(Account::random).into();
    let shop = Shop::start(options).await;

    let mut cases = Vec::new();
    for account in &shop.accounts {
        for format in [Format::Xml, Format::Json] {
            for (kind, message, replies) in kinds() {
                let user = format!("oUSER{:02}", cases.len());
                let request = PushRequest { format: Some(format), ..PushRequest::new(&account.appid, &user, message) };
                cases.push((format!("{kind}, {format:?}, {:?}", account.mode), account, user, request, replies));
            }
        }
    }
    let reports = join_all(cases.iter().map(|(.., request, _)| shop.send(request.clone()))).await;
    // Handled after what came before it: a reply to that would be there by then.
    let silent = cases.iter().filter(|(.., replies)| replies.is_empty());
    join_all(silent.map(async |(case, account, user, ..)| {
        shop.send(PushRequest::new(&account.appid, user, Message::text("hello"))).await;
        let replies = shop.replies_within(user, 1).await;
        assert_eq!(replies[0]["msgtype"], "text", "{case}");
    }))
    .await;
    for ((case, account, user, _, expected), report) in cases.iter().zip(reports) {
        let tries: Vec<_> = report.copies.iter().flat_map(|copy| &copy.tries).map(|one| one.body.as_deref()).collect();
        assert_eq!(tries, [Some("success")], "{case}");
        if expected.is_empty() {
            continue;
        }
        let replies = shop.replies_within(user, expected.len()).await;
        for (mut reply, expected) in replies.into_iter().zip(expected) {
            assert_eq!(reply["touser"], *user, "{case}");
            match reply["msgtype"].as_str() {
                Some("image") => assert!(reply["image"]["media_id"].is_string(), "{case}: {reply}"),
                Some("miniprogrampage") => {
                    let card = &reply["miniprogrampage"];
                    assert!(card["thumb_media_id"].is_string(), "{case}: {reply}");
                    assert_eq!((&card["appid"], &card["pagepath"]), (&json!(account.appid), &json!("pages/a?x=1&y=2")));
                }
                _ => {
                    reply.as_object_mut().unwrap().remove("touser");
                    assert_eq!(reply, *expected, "{case}");
                    continue;
                }
            }
            assert_eq!(reply["msgtype"], expected["msgtype"], "{case}");
        }
    }
    // The same picture is uploaded once an account, the token fetched once an account.
    assert_eq!(shop.calls("media/upload").len(), 3);
    assert_eq!(shop.calls("stable_token").len(), 3);
    let secrets = shop.secrets().await;
    for program in &shop.stack.programs {
        let output = program.output();
        assert!(!output.contains("oUSER") && !output.contains("hello"), "a user is in the log:\n{output}");
        secrets.must_not_be_in(&output);
    }
}

on_each_backend!(every_kind_is_answered_and_replied_to);

#[tokio::test]
async fn a_push_that_is_sent_again_and_again_is_replied_to_once() {
    for backend in Backend::ALL {
        let shop = Shop::start(ShopOptions::new(backend)).await;
        for (user, at_once) in [("oAFTER", false), ("oATONCE", true)] {
            let request =
                PushRequest { times: 5, at_once, ..PushRequest::new(shop.appid(), user, Message::text("hi")) };
            assert!(shop.send(request).await.answered);
            // A user's next message is handled after all copies of the former.
            shop.push(user, Message::text("next")).await;
            shop.replies_within(user, 2).await;
        }
    }
}

#[tokio::test]
async fn a_users_messages_are_replied_to_in_order() {
    let rules: String = (0..20)
        .map(|n| {
            format!(
                "[[rule]]\nwhen = {{ regex = \"^{n}$\" }}\nreply = [{{ text = \"{n}a\" }}, {{ text = \"{n}b\" }}]\n"
            )
        })
        .collect();
    for backend in Backend::ALL {
        // Pushes outrun replies here: with WeChat's 5 replies a message most would be refused.
        let limits = Limits { message_replies: 1_000, ..Limits::default() };
        let shop = Shop::start(ShopOptions { rules: rules.clone(), limits, ..ShopOptions::new(backend) }).await;
        let users: Vec<String> = (0..5).map(|n| format!("oUSER{n}")).collect();
        join_all(users.iter().map(async |user| {
            for n in 0..20 {
                assert!(shop.push(user, Message::text(n.to_string())).await.answered);
            }
        }))
        .await;
        let expected: Vec<String> = (0..20).flat_map(|n| [format!("{n}a"), format!("{n}b")]).collect();
        for user in &users {
            let replies = shop.replies_within(user, 40).await;
            let texts: Vec<&str> = replies.iter().filter_map(|reply| reply["text"]["content"].as_str()).collect();
            assert_eq!(texts, expected, "{user}, {backend:?}");
        }
    }
}

#[tokio::test]
async fn wechats_check_of_the_url_passes() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let report = shop.simulator.verify(shop.appid()).await.unwrap();
    assert!(report.ok, "{report:?}");
}
