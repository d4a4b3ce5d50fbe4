//! What becomes of messages that are accepted.

use kefu_harness::webhook::{Does, Service};
use kefu_simulator::{FaultKind, FaultRequest};

use super::*;
use crate::dead::{listed, printed};

async fn a_message_is_queued_and_then_sent(backend: Backend) {
    // The user's own message is not done with before the test says so.
    let service = Service::held(Does::answer(204, "")).await;
    let mut options = options(backend);
    options.rules = format!("[[rule]]\nwhen = {{}}\nwebhook = {{ url = \"{}\" }}\n", service.url("/kefu"));
    options.settings.push(("webhook", "secret = \"0123456789abcdef\"\ntimeout_ms = 60_000".to_owned()));
    let shop = Shop::start(options).await;
    let caller = Caller::of(&shop.stack.programs[0]);
    writes(&shop, "oUSER").await;
    let link = json!({ "title": "t", "description": "d", "url": "https://a.example/", "thumb_url": "https://a.example/t.png" });
    let card = json!({ "title": "back", "pagepath": "pages/a?x=1", "thumb": "code.png" });
    let replies = json!([
        { "text": "on its way <b>&</b> \"你好\"", "kf_account": "test1@test" },
        { "image": "code.png" },
        { "link": link, "is_ai_msg": true },
        { "miniprogrampage": card },
    ]);
    let body = json!({ "to": "oUSER", "replies": replies, "business_id": 7 });
    let id = caller.accepted(shop.appid(), "order-1", &body).await;
    let accepted = std::time::Instant::now();
    let queued = caller.state(&id).await;
    assert_eq!((queued.status, &queued.body["status"], &queued.body["id"]), (200, &json!("queued"), &json!(id)));
    assert!(queued.body["ended_at_ms"].is_null(), "{queued:?}");
    let waited = u64::try_from(accepted.elapsed().as_millis()).unwrap();
    service.release();

    let sent = caller.becomes(&id, "sent").await;
    let (accepted_at, ended_at) = (sent["accepted_at_ms"].as_u64().unwrap(), sent["ended_at_ms"].as_u64().unwrap());
    assert_eq!(sent["accepted_at_ms"], queued.body["accepted_at_ms"]);
    assert!(ended_at >= accepted_at + waited, "{waited} ms: {sent}");
    let replies = shop.replies("oUSER");
    let kinds: Vec<_> = replies.iter().map(|reply| reply["msgtype"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "image", "link", "miniprogrampage"]);
    assert_eq!(replies[0]["text"]["content"], "on its way <b>&</b> \"你好\"");
    assert!(replies.iter().all(|reply| reply["businessid"] == 7), "{replies:?}");
    assert_eq!(replies[0]["customservice"]["kf_account"], "test1@test");
    assert_eq!((&replies[2]["link"], &replies[2]["aimsgcontext"]["is_ai_msg"]), (&link, &json!(1)));
    assert!(id.len() == 32 && !id.contains("order"), "{id}");
}

on_each_backend!(a_message_is_queued_and_then_sent);

#[tokio::test]
async fn what_is_sent_and_what_is_replied_keep_their_order() {
    let rules = "[[rule]]\nwhen = { type = \"text\", regex = \"^reply\" }\nreply = [{ text = \"reply\" }]\n";
    for backend in Backend::ALL {
        let shop = Shop::start(ShopOptions { rules: rules.to_owned(), ..options(backend) }).await;
        let caller = Caller::of(&shop.stack.programs[0]);
        let slow = FaultRequest { latency_ms: Some(700), times: 2, ..FaultRequest::new(FaultKind::Latency, SEND) };
        shop.simulator.fault(slow).unwrap();
        for number in 0..2 {
            assert!(shop.push("oUSER", Message::text(format!("reply {number}"))).await.answered);
            caller.accepted(shop.appid(), &format!("k{number}"), &text("oUSER", &format!("sent {number}"))).await;
        }
        let replies = shop.replies_within("oUSER", 4).await;
        assert_eq!(texts(&replies), ["reply", "sent 0", "reply", "sent 1"], "{backend:?}");
    }
}

#[tokio::test]
async fn what_wechat_refuses_is_dead_with_the_reason_and_sent_once_it_is_replayed() {
    for backend in Backend::ALL {
        let (shop, caller) = start(backend).await;
        writes(&shop, "oUSER").await;
        let refusal = FaultRequest::errcode(SEND, 40_003, 1);
        shop.simulator.fault(refusal).unwrap();
        let body = json!({ "to": "oUSER", "replies": [{ "text": "one" }, { "text": "two" }] });
        let id = caller.accepted(shop.appid(), "k", &body).await;
        let dead = caller.becomes(&id, "dead").await;
        assert_eq!(dead["reason"], "refused", "{dead}");
        assert!(dead["error"].as_str().unwrap().contains("40003"), "{dead}");
        assert!(dead["ended_at_ms"].as_u64() >= dead["accepted_at_ms"].as_u64(), "{dead}");
        let again = caller.send(shop.appid(), "k", &body).await;
        assert_eq!(
            (again.status, &again.body["status"]),
            (202, &json!("dead")),
            "what is dead is not sent again by itself"
        );

        let config = shop.stack.config();
        let letter = listed(config, 1).await.remove(0);
        assert_eq!((&letter["kind"], &letter["reason"]), (&json!("kefu_send"), &json!("refused")));
        assert!(id.starts_with(letter["id"].as_str().unwrap()), "{id}: {letter}");
        let shown = printed(config, &["show", letter["id"].as_str().unwrap(), "--with-content"]).await;
        assert!(shown.contains("one") && shown.contains("two"), "{shown}");
        printed(config, &["replay", "--all"]).await;
        caller.becomes(&id, "sent").await;
        assert_eq!(texts(&shop.replies("oUSER")), ["one", "two"]);
    }
}
