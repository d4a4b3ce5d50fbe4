//! The window: nothing is sent that WeChat would refuse, and nothing is held back that it would take.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::shop::{Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Limits, Message};
use serde_json::Value;

use crate::dead::{listed, printed};

const SEND: &str = "custom/send";

/// The rule for events is for what opens no window.
const RULES: &str = r#"
[[rule]]
when = { type = "text", contains = "five" }
reply = [{ text = "1" }, { text = "2" }, { text = "3" }, { text = "4" }, { text = "5" }]
[[rule]]
when = { event = "order_paid" }
reply = [{ text = "paid" }]
[[rule]]
when = { event = "user_enter_tempsession" }
reply = [{ text = "welcome" }, { text = "to the shop" }]
"#;

fn paid(number: u32) -> Message {
    let fields = [("OrderNumber".to_owned(), number.into())].into_iter().collect();
    Message::Event { event: "order_paid".into(), fields }
}

fn error(letter: &Value) -> &str {
    assert_eq!(letter["reason"], "window_closed", "{letter}");
    letter["last_error"].as_str().unwrap()
}

/// Whether the user has this many replies and kefu has made this many calls.
async fn sent(shop: &Shop, user: &str, replies: &[&str], calls: usize) {
    let what = format!("{user} has {replies:?} by {calls} calls");
    eventually(Duration::from_secs(30), &what, async || {
        let (got, made) = (shop.replies(user), shop.calls(SEND).len());
        if texts(&got) == replies && made == calls { Ok(()) } else { Err(format!("{got:?} by {made}")) }
    })
    .await;
}

async fn the_sixth_reply_is_not_sent_until_the_user_writes_again(backend: Backend) {
    let shop = Shop::start(ShopOptions { rules: RULES.to_owned(), ..ShopOptions::new(backend) }).await;
    let config = shop.stack.config();
    shop.push("oUSERofTheShop", Message::text("five, please")).await;
    shop.replies_within("oUSERofTheShop", 5).await;
    shop.push("oUSERofTheShop", paid(1)).await;
    let letters = listed(config, 1).await;
    assert!(
        error(&letters[0]).contains("not sent: no replies are left: 5 were sent since the user wrote"),
        "{letters:?}"
    );
    assert!(!error(&letters[0]).contains("oUSER"), "{letters:?}");
    assert_eq!(shop.calls(SEND).len(), 5, "it was not tried");
    // Nothing has changed: a replay makes no call either.
    let id = letters[0]["id"].as_str().unwrap();
    printed(config, &["replay", id]).await;
    listed(config, 1).await;
    assert_eq!(shop.calls(SEND).len(), 5);
    // The user writes what no rule is for.
    shop.push("oUSERofTheShop", Message::text("hello?")).await;
    let id = listed(config, 1).await[0]["id"].as_str().unwrap().to_owned();
    let worker = shop.stack.programs.last().unwrap();
    worker.counts(r#"kefu_worker_messages_total{outcome="ignored"}"#, 1).await;
    printed(config, &["replay", &id]).await;
    sent(&shop, "oUSERofTheShop", &["1", "2", "3", "4", "5", "paid"], 6).await;
    listed(config, 0).await;
    shop.push("oUSERofTheShop", paid(2)).await;
    sent(&shop, "oUSERofTheShop", &["1", "2", "3", "4", "5", "paid", "paid"], 7).await;
    worker.counts(r#"kefu_worker_closed_windows_total{found_by="kefu"}"#, 2).await;
}

on_each_backend!(the_sixth_reply_is_not_sent_until_the_user_writes_again);

#[tokio::test]
async fn wechats_refusal_is_remembered_until_the_user_writes_again() {
    for backend in Backend::ALL {
        // WeChat allows less than kefu believes.
        let limits = Limits { message_replies: 2, ..Limits::default() };
        let shop = Shop::start(ShopOptions { rules: RULES.to_owned(), limits, ..ShopOptions::new(backend) }).await;
        let config = shop.stack.config();
        shop.push("oA", Message::text("five")).await;
        let letters = listed(config, 1).await;
        assert!(error(&letters[0]).contains("45047"), "{letters:?}");
        sent(&shop, "oA", &["1", "2"], 3).await;
        shop.push("oA", paid(1)).await;
        let letters = listed(config, 2).await;
        assert!(letters.iter().any(|letter| error(letter).contains("WeChat said earlier (45047)")), "{letters:?}");
        sent(&shop, "oA", &["1", "2"], 3).await;
        // The window is open again.
        shop.push("oA", Message::text("five")).await;
        listed(config, 3).await;
        sent(&shop, "oA", &["1", "2", "1", "2"], 6).await;
    }
}

/// Both that WeChat refuses are tried: what was said to the agents meanwhile is not told to kefu.
#[tokio::test]
async fn a_user_who_is_with_the_human_agents_is_left_to_wechat_to_decide() {
    for backend in Backend::ALL {
        let transfer = "[[rule]]\nwhen = { type = \"text\", contains = \"agent\" }\ntransfer = true\n";
        let shop = Shop::start(ShopOptions { rules: transfer.to_owned() + RULES, ..ShopOptions::new(backend) }).await;
        shop.push("oA", Message::text("five")).await;
        shop.replies_within("oA", 5).await;
        shop.push("oA", Message::text("an agent, please")).await;
        let worker = shop.stack.programs.last().unwrap();
        worker.counts(r#"kefu_worker_messages_total{outcome="answered"}"#, 1).await;
        // Pushed while the user waits for an agent.
        shop.push("oA", Message::text("five")).await;
        shop.replies_within("oA", 10).await;
        for (number, calls) in [(1, 11), (2, 12)] {
            shop.push("oA", paid(number)).await;
            let letters = listed(shop.stack.config(), number as usize).await;
            assert!(letters.iter().all(|letter| error(letter).contains("answered errcode 45047")), "{letters:?}");
            assert_eq!(shop.calls(SEND).len(), calls);
        }
    }
}

#[tokio::test]
async fn a_reply_to_entering_that_comes_too_late_is_not_sent() {
    let options = ShopOptions { rules: RULES.to_owned(), ..ShopOptions::new(Backend::Embedded) }
        .with("window", "enter_seconds = 10\nclock_tolerance_seconds = 0")
        .with("wechat", "timeout_ms = 60_000");
    let shop = Shop::start(options).await;
    // The first is sent within the 10 s, also by a machine that is busy; the second could be only after them.
    let slow = FaultRequest { latency_ms: Some(11_000), ..FaultRequest::new(FaultKind::Latency, SEND) };
    shop.simulator.fault(slow).unwrap();
    shop.push("oA", Message::enter("")).await;
    let letters = listed(shop.stack.config(), 1).await;
    assert!(error(&letters[0]).contains("WeChat takes replies for 10 s ([window] enter_seconds)"), "{letters:?}");
    sent(&shop, "oA", &["welcome"], 1).await;
    // The user writes, and an operator replays what is left of the welcome.
    shop.push("oA", Message::text("five")).await;
    shop.replies_within("oA", 6).await;
    shop.push("oA", Message::text("hello?")).await;
    shop.stack.programs[0].counts(r#"kefu_worker_messages_total{outcome="ignored"}"#, 1).await;
    printed(shop.stack.config(), &["replay", "--all"]).await;
    sent(&shop, "oA", &["welcome", "1", "2", "3", "4", "5", "to the shop"], 7).await;
}
