//! A webhook that does not answer, or that something else answers for.

use std::time::{Duration, Instant};

use kefu_harness::eventually;
use kefu_harness::shop::Shop;
use kefu_harness::stack::Backend;
use kefu_harness::webhook::{Does, Service};
use kefu_simulator::Message;
use serde_json::json;

use super::{options, start, texts};

#[tokio::test]
async fn what_passes_is_asked_again_and_replied_to_once() {
    let (shop, service) = start(Backend::Embedded, Does::answer(204, ""), "timeout_ms = 5_000").await;
    let whole = json!({ "replies": [{ "text": "half" }] }).to_string();
    let cases = [
        ("500", Does::answer(500, "oops")),
        ("503", Does::answer(503, "{\"replies\":[{\"text\":\"no\"}]}")),
        ("HTML", Does::answer(200, "<!DOCTYPE html><html><body>soon back</body></html>")),
        ("an empty body", Does::answer(200, "")),
        ("a cut body", Does::Cut(whole.into())),
        ("no answer", Does::Hang),
        (
            "too many",
            Does::Answer { status: 429, headers: vec!["retry-after: 1".to_owned()], body: b"slowly".to_vec() },
        ),
    ];
    for (index, (case, does)) in cases.into_iter().enumerate() {
        let user = format!("oUSER{index}");
        service.then([does, Does::text("fine")]);
        shop.push(&user, Message::text("one")).await;
        assert_eq!(texts(&shop.replies_within(&user, 1).await), ["fine"], "{case}");
        let asked = service.asked();
        assert_eq!(asked.len(), 2 * (index + 1), "{case}");
        let [first, second] = &asked[2 * index..] else { unreachable!() };
        assert_eq!(first.header("kefu-message"), second.header("kefu-message"), "{case}");
    }
}

#[tokio::test]
async fn a_webhook_that_hangs_keeps_its_users_order_and_holds_up_nobody_else() {
    let service = Service::held(Does::text("at last")).await;
    let settings = "timeout_ms = 60_000\nconcurrency = 2";
    let shop = Shop::start(options(Backend::Embedded, &service, "", settings)).await;
    for user in ["oFIRST", "oSECOND", "oTHIRD"] {
        shop.push(user, Message::text("one")).await;
    }
    service.asked_within(2).await;
    // The user's next message waits; another user's that goes to no webhook does not.
    shop.push("oFIRST", Message::text("the rule")).await;
    shop.push("oOTHER", Message::text("the rule")).await;
    assert_eq!(texts(&shop.replies_within("oOTHER", 1).await), ["by a rule"]);
    assert!(shop.replies("oFIRST").is_empty(), "its first message has not been answered");
    assert_eq!(service.asked().len(), 2, "two are asked at once");
    service.release();
    assert_eq!(texts(&shop.replies_within("oFIRST", 2).await), ["at last", "by a rule"]);
    for user in ["oSECOND", "oTHIRD"] {
        assert_eq!(texts(&shop.replies_within(user, 1).await), ["at last"]);
    }
}

#[tokio::test]
async fn more_users_of_a_webhook_that_hangs_than_a_partition_has_room_for_hold_up_nobody_else() {
    for backend in Backend::ALL {
        let service = Service::start(Does::Hang).await;
        let mut options = options(backend, &service, "", "timeout_ms = 2_000");
        options.settings[0].1 = "partitions = 1\nprefetch = 4".to_owned();
        let shop = Shop::start(options).await;
        let waiting: Vec<String> = (0..12).map(|user| format!("oWAITS{user}")).collect();
        for user in &waiting {
            shop.push(user, Message::text("one")).await;
        }
        service.asked_within(4).await;
        let begun = Instant::now();
        shop.push("oOTHER", Message::text("the rule")).await;
        shop.push(&waiting[0], Message::text("the rule")).await;
        assert_eq!(texts(&shop.replies_within("oOTHER", 1).await), ["by a rule"]);
        // What waits may be asked again for a minute each.
        assert!(begun.elapsed() < Duration::from_secs(20), "{backend:?}: after {:?}", begun.elapsed());
        assert!(shop.replies(&waiting[0]).is_empty(), "its first message has not been answered");
        let worker = shop.stack.programs.last().unwrap();
        worker.says("/readyz", 200, &["\"worker_webhooks\":\"degraded: no answers since"]).await;
        assert!(worker.metric(r#"kefu_worker_webhook_calls_total{outcome="shut"}"#).await > 0.0);

        service.then(std::iter::repeat_n(Does::text("at last"), 100));
        eventually(Duration::from_secs(120), "all are answered, each in order", async || {
            let replies: Vec<_> = waiting.iter().map(|user| shop.replies(user)).collect();
            let whole = replies.iter().enumerate().all(|(user, replies)| replies.len() == 1 + usize::from(user == 0));
            if whole { Ok(()) } else { Err(format!("{replies:?}")) }
        })
        .await;
        assert_eq!(texts(&shop.replies(&waiting[0])), ["at last", "by a rule"], "{backend:?}");
        worker.says("/readyz", 200, &["\"worker_webhooks\":\"up\""]).await;
    }
}

#[tokio::test]
async fn a_wait_for_a_turn_of_a_slow_webhook_holds_up_nobody_else() {
    let service = Service::start(Does::Hang).await;
    let mut options = options(Backend::Embedded, &service, "", "timeout_ms = 60_000\nconcurrency = 1");
    options.settings[0].1 = "partitions = 1\nprefetch = 3".to_owned();
    let shop = Shop::start(options).await;
    for user in 0..9 {
        shop.push(&format!("oWAITS{user}"), Message::text("one")).await;
    }
    service.asked_within(1).await;
    let begun = Instant::now();
    shop.push("oOTHER", Message::text("the rule")).await;
    assert_eq!(texts(&shop.replies_within("oOTHER", 1).await), ["by a rule"]);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!(service.asked().len(), 1, "nobody waits for the end of the call, and nobody is asked beside it");
    let worker = &shop.stack.programs[0];
    assert!(worker.metric(r#"kefu_worker_webhook_calls_total{outcome="crowded"}"#).await > 0.0);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_webhook() {
    let (mut shop, service) = start(Backend::Embedded, Does::Hang, "timeout_ms = 60_000").await;
    shop.push("oUSER", Message::text("one")).await;
    service.asked_within(1).await;
    let program = shop.stack.programs.remove(0);
    program.terminate();
    let (status, output) = program.end_within(Duration::from_secs(15)).await;
    assert!(status.success() && !output.contains("\"ERROR\""), "{output}");
    service.then([Does::text("after the restart")]);
    let launch = shop.stack.launch(0);
    shop.stack.programs.push(kefu_harness::process::Program::start(launch).await);
    assert_eq!(texts(&shop.replies_within("oUSER", 1).await), ["after the restart"]);
}

/// Longer than a message waits in its lane for one next try.
const LATER: u64 = 31;

/// The machine being busy.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_message_that_a_webhook_wants_later_keeps_its_place_before_the_users_next_one() {
    let (shop, service) = start(Backend::Embedded, Does::text("fine"), "").await;
    service.then([Does::answer_with(429, format!("retry-after: {LATER}"), "slowly")]);
    let begun = Instant::now();
    shop.push("oA", Message::text("one")).await;
    service.asked_within(1).await;
    shop.push("oA", Message::text("the rule")).await;
    eventually(PATIENCE, "the webhook is asked again", async || match service.asked().len() {
        1 => Err("it was asked once"),
        _ => Ok(()),
    })
    .await;
    assert_eq!(texts(&shop.replies_within("oA", 2).await), ["fine", "by a rule"]);
    assert!(begun.elapsed() >= Duration::from_secs(LATER), "it was asked again after {:?}", begun.elapsed());
}
