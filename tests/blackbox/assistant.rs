//! Texts that an assistant answers, with a stand-in for its server.

use std::time::Duration;

use kefu_harness::assistant::{Answer, Assistant};
use kefu_harness::eventually;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::Message;
use serde_json::{Value, json};

mod conversation;
mod crashes;
mod failures;
mod secrecy;

/// How long something may take, the machine being busy.
const PATIENCE: Duration = Duration::from_secs(30);

const KEY: &str = "sk-0123456789-of-the-shop";
const PROMPT: &str = "You sell tulips. Answer in one sentence.";
const FALLBACK: &str = "one moment please, a colleague will answer";

const RULES: &str = r#"
[[rule]]
when = { type = "text", regex = "^by rule" }
reply = [{ text = "by rule" }]
[[rule]]
when = { type = "text" }
assistant = true
"#;

/// A shop whose assistant answers all texts that do not begin with `by rule`; `more` is for `[assistant]`.
async fn start(backend: Backend, more: &str) -> (Shop, Assistant) {
    let stand_in = Assistant::start().await;
    let shop = Shop::start(options(backend, &stand_in, more)).await;
    (shop, stand_in)
}

fn options(backend: Backend, stand_in: &Assistant, more: &str) -> ShopOptions {
    let mut options = ShopOptions { rules: RULES.to_owned(), ..ShopOptions::new(backend) };
    let section = format!(
        "base_url = \"{}\"\nmodel = \"stand-in\"\nkey = \"{KEY}\"\nsystem_prompt = \"{PROMPT}\"\n\
         fallback = \"{FALLBACK}\"\n{more}",
        stand_in.base_url()
    );
    options.settings.push(("assistant", section));
    options
}

/// Says something as a user does; WeChat's push must be answered.
async fn say(shop: &Shop, user: &str, text: &str) {
    assert!(shop.push(user, Message::text(text)).await.answered, "{user}: {text}");
}

/// The text of a reply, and whether WeChat is told that an AI made it.
fn spoken(reply: &Value) -> (String, bool) {
    let text = reply["text"]["content"].as_str().unwrap_or_else(|| panic!("no text: {reply}"));
    (text.to_owned(), reply["aimsgcontext"] == json!({ "is_ai_msg": 1 }))
}

/// The replies to a user, once there are `count`.
async fn heard(shop: &Shop, user: &str, count: usize) -> Vec<(String, bool)> {
    shop.replies_within(user, count).await.iter().map(spoken).collect()
}

/// Waits until the assistant was asked this question so often.
async fn asked(stand_in: &Assistant, question: &str, times: usize) {
    eventually(PATIENCE, &format!("{question:?} is asked {times} times"), async || {
        let found = stand_in.asked_for(question).len();
        if found == times { Ok(()) } else { Err(format!("{found} times")) }
    })
    .await;
}

fn by_assistant(text: &str) -> (String, bool) {
    (text.to_owned(), true)
}

fn by_fallback() -> (String, bool) {
    (FALLBACK.to_owned(), false)
}

fn by_rule() -> (String, bool) {
    ("by rule".to_owned(), false)
}

fn status(status: u16) -> Answer {
    Answer::Status(status, "", String::new())
}
