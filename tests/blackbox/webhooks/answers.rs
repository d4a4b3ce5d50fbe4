//! What a webhook may answer.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::shop::{PICTURE_FILE, Shop};
use kefu_harness::stack::Backend;
use kefu_harness::webhook::{Does, Service};
use kefu_simulator::Message;
use serde_json::json;

use super::{SECRET, options, start, texts};

const DEAD: &str = r#"kefu_worker_dead_letters_total{reason="webhook_refused"}"#;

#[tokio::test]
async fn what_a_webhook_answers_is_sent_and_its_calls_are_signed() {
    for backend in Backend::ALL {
        let replies = json!([{ "text": "您好" }, { "image": "code.png" }, { "text": "scan it" }]);
        let (shop, service) = start(backend, Does::replies(&replies), "").await;
        shop.push("oUSER", Message::text("我的订单")).await;
        let sent = shop.replies_within("oUSER", 3).await;
        assert_eq!((texts(&sent), sent[1]["msgtype"].as_str()), (vec!["您好", "", "scan it"], Some("image")));

        let asked = service.asked();
        assert_eq!(asked.len(), 1, "{backend:?}");
        let envelope = asked[0].envelope();
        assert_eq!(asked[0].line, "POST /kefu?key=HUSH-HUSH-HUSH HTTP/1.1");
        assert!(asked[0].is_signed_with(SECRET) && !asked[0].is_signed_with("another secret"));
        assert_eq!(asked[0].header("content-type"), "application/json");
        assert_eq!(asked[0].header("kefu-message").len(), 64);
        assert_eq!((&envelope["v"], &envelope["account"]), (&json!(1), &json!(shop.appid())));
        assert_eq!(envelope["push"]["from_user"], "oUSER");
        assert_eq!(envelope["push"]["content"], json!({ "type": "text", "content": "我的订单" }));
        assert!(envelope["raw"].as_str().unwrap().contains("MsgId"));

        let secrets = shop.secrets().await.with("the webhook's secret", SECRET).with("the URL's key", "HUSH-HUSH-HUSH");
        for program in &shop.stack.programs {
            secrets.must_not_be_in(&program.output());
            assert!(!program.output().contains("我的订单"), "a text is in the log");
        }
    }
}

#[tokio::test]
async fn a_webhook_may_answer_that_there_is_nothing_to_say() {
    let (shop, service) = start(Backend::Embedded, Does::answer(204, ""), "").await;
    service.then([Does::answer(204, ""), Does::replies(&json!([])), Does::text("now")]);
    for text in ["one", "two", "three"] {
        shop.push("oUSER", Message::text(text)).await;
    }
    assert_eq!(texts(&shop.replies_within("oUSER", 1).await), ["now"]);
    let asked: Vec<String> = service.asked().iter().map(|asked| asked.text()).collect();
    assert_eq!(asked, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_wrong_answer_is_a_dead_letter_and_does_not_hold_up_the_next_message() {
    let (shop, service) = start(Backend::Embedded, Does::text("fine"), "").await;
    std::os::unix::fs::symlink(PICTURE_FILE, shop.stack.config().with_file_name("out.png")).unwrap();
    let twenty: Vec<_> = (0..20).map(|n| json!({ "text": n.to_string() })).collect();
    let cases = [
        ("an unknown type", Does::replies(&json!([{ "voice": "HUSH" }]))),
        ("20 replies", Does::replies(&json!(twenty))),
        ("a wrong one among good ones", Does::replies(&json!([{ "text": "good" }, { "text": "" }]))),
        ("a picture elsewhere", Does::replies(&json!([{ "image": "../../etc/hostname" }]))),
        ("a link to a picture elsewhere", Does::replies(&json!([{ "image": "out.png" }]))),
        ("no list", Does::answer(200, "{}")),
        ("a redirect", Does::redirect(307, "/elsewhere")),
        ("another redirect", Does::redirect(302, "/elsewhere")),
        ("404", Does::answer(404, "no")),
        ("401", Does::answer(401, "{\"replies\":[{\"text\":\"no\"}]}")),
    ];
    let count = cases.len();
    for (index, (case, does)) in cases.into_iter().enumerate() {
        let user = format!("oUSER{index}");
        service.then([does]);
        shop.push(&user, Message::text("one")).await;
        service.asked_within(2 * index + 1).await;
        shop.push(&user, Message::text("two")).await;
        assert_eq!(texts(&shop.replies_within(&user, 1).await), ["fine"], "{case}");
    }
    shop.stack.programs[0].counts(DEAD, u32::try_from(count).unwrap()).await;
    assert_eq!(service.asked().len(), 2 * count, "each is asked once");
    let output = shop.stack.programs[0].output();
    assert!(output.contains("replies[0]: image must be a path within the folder"), "{output}");
    assert!(output.contains("a symbolic link leads out of it"), "{output}");
    assert!(!output.contains("HUSH"), "a text or the URL is in the log: {output}");
}

#[tokio::test]
async fn after_entering_there_may_be_two_replies() {
    let (shop, service) = start(Backend::Embedded, Does::text("fine"), "").await;
    let replies = |count: usize| Does::replies(&json!(vec![json!({ "text": "hello" }); count]));
    service.then([replies(3), replies(2)]);
    shop.push("oTHREE", Message::enter("order")).await;
    shop.stack.programs[0].counts(DEAD, 1).await;
    shop.push("oTWO", Message::enter("order")).await;
    shop.replies_within("oTWO", 2).await;
    assert!(shop.replies("oTHREE").is_empty());
}

#[tokio::test]
async fn it_is_asked_also_when_wechat_takes_no_reply_any_more() {
    let service = Service::start(Does::text("thank you")).await;
    let mut options = options(Backend::Embedded, &service, "", "");
    let url = service.url("/paid");
    options.rules += &format!("[[rule]]\nwhen = {{ event = \"order_paid\" }}\nwebhook = {{ url = \"{url}\" }}\n");
    options.settings.push(("window", "message_replies = 1".to_owned()));
    let shop = Shop::start(options).await;
    shop.push("oUSER", Message::text("the rule")).await;
    shop.replies_within("oUSER", 1).await;
    shop.push("oUSER", Message::Event { event: "order_paid".into(), fields: Default::default() }).await;
    shop.stack.programs[0].counts(r#"kefu_worker_dead_letters_total{reason="window_closed"}"#, 1).await;
    assert_eq!(service.asked().len(), 1, "its answer alone cannot be sent");
    assert_eq!(shop.calls("custom/send").len(), 1);
}

#[tokio::test]
async fn the_user_sees_somebody_typing_while_the_webhook_thinks() {
    let service = Service::held(Does::text("at last")).await;
    let shop = Shop::start(options(Backend::Embedded, &service, "", "timeout_ms = 60_000")).await;
    shop.push("oUSER", Message::text("one")).await;
    eventually(Duration::from_secs(30), "somebody types", async || {
        if shop.calls("custom/business/typing").is_empty() { Err("nobody types") } else { Ok(()) }
    })
    .await;
    assert!(shop.replies("oUSER").is_empty());
    service.release();
    assert_eq!(texts(&shop.replies_within("oUSER", 1).await), ["at last"]);
}

#[tokio::test]
async fn a_redirect_that_is_allowed_is_followed_but_not_to_another_host() {
    let (shop, service) = start(Backend::Embedded, Does::text("fine"), "allow_redirects = true").await;
    service.then([Does::redirect(308, "/elsewhere"), Does::text("from elsewhere")]);
    shop.push("oUSER", Message::text("one")).await;
    assert_eq!(texts(&shop.replies_within("oUSER", 1).await), ["from elsewhere"]);
    let asked = service.asked();
    assert_eq!(asked[1].line, "POST /elsewhere HTTP/1.1");
    assert!(asked[1].is_signed_with(SECRET) && asked[1].body == asked[0].body);

    service.then([Does::redirect(307, "http://169.254.169.254/latest/meta-data")]);
    shop.push("oOTHER", Message::text("one")).await;
    shop.stack.programs[0].counts(DEAD, 1).await;
    assert!(shop.stack.programs[0].output().contains("another scheme, host or port"));
}

#[tokio::test]
async fn a_fault_in_a_character_of_an_answer_costs_that_character() {
    let (shop, service) = start(Backend::Embedded, Does::text("not asked again"), "").await;
    let bodies: [&[u8]; 6] = [
        "{\"replies\":[{\"text\":\"您好\\ud83d\"}]}".as_bytes(),
        b"\xef\xbb\xbf{\"replies\":[{\"text\":\"\xe6\x82\xa8\xe5\xa5\xbd\"}]}",
        b"{\"replies\":[{\"text\":\"\xe6\x82\xa8\x02\xe5\xa5\xbd\"}]}",
        "{\"replies\":[{\"text\":\"\\u0008您\\u001b好\\u007f\"}]}".as_bytes(),
        b"{\"replies\":[{\"text\":\"\xe6\x82\xa8\xe5\xa5\xbd\xe5\xa5\"}]}\0",
        "{\"replies\":[{\"text\":\"您好\",\"kf_account\":\"agent@shop\\u0002\"}]}".as_bytes(),
    ];
    service.then(bodies.map(|body| Does::answer(200, body)));
    for index in 0..bodies.len() {
        let user = format!("oUSER{index}");
        shop.push(&user, Message::text("hi")).await;
        assert_eq!(texts(&shop.replies_within(&user, 1).await), ["您好"], "answer {index}");
    }
    service.then([Does::answer(200, b"{\"replies\":[{\"text\":\"Hi there, cut \xe6\x82\"}]}".as_slice())]);
    shop.push("oCUT", Message::text("hi")).await;
    assert_eq!(texts(&shop.replies_within("oCUT", 1).await), ["Hi there, cut "]);
    assert_eq!(service.asked().len(), bodies.len() + 1, "each is asked once");

    // Blank after cleaning is blank: refused as ever, and the next message is not held up.
    service.then([Does::answer(200, br#"{"replies":[{"text":"\u0002\ud83d "}]}"#.as_slice())]);
    shop.push("oBLANK", Message::text("hi")).await;
    shop.stack.programs[0].counts(DEAD, 1).await;
    assert!(shop.replies("oBLANK").is_empty());
}
