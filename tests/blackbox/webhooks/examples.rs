//! The examples of docs/webhook.md, run as they are.

use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_harness::webhook::sign;
use kefu_simulator::Message;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{SECRET, texts};

/// Starts an example on a free port; its URL.
async fn run(program: &str, file: &str) -> (Child, String) {
    let path = format!("{}/../docs/examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(program);
    command.arg(path).arg("0").env("KEFU_WEBHOOK_SECRET", SECRET).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!(
            "{program} cannot be started ({error}), and the examples of docs/webhook.md cannot be tried without it: \
             run tests/run, or install it (Debian, Ubuntu: apt-get install python3 nodejs)"
        )
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("it says where it listens");
    (child, line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Status and body of a call with this signature.
async fn call(url: &str, timestamp: &str, signature: &str, body: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = client
        .post(url)
        .header("content-type", "application/json")
        .header("kefu-message", sign("", "", body.as_bytes()));
    let post = post.header("kefu-timestamp", timestamp).header("kefu-signature", signature).body(body.to_owned());
    let answer = post.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn an_example_believes_nobody_but_kefu(url: &str) {
    let body = json!({ "push": { "content": { "type": "text", "content": "您好" } } }).to_string();
    let (old, new, now) = ((now() - 400).to_string(), (now() + 400).to_string(), now().to_string());
    let good = sign(SECRET, &now, body.as_bytes());
    let (status, answer) = call(url, &now, &good, &body).await;
    assert_eq!(
        (status, serde_json::from_str(&answer).ok()),
        (200, Some(json!({ "replies": [{ "text": "You wrote: 您好" }] })))
    );
    for (case, timestamp, signature, body) in [
        ("another secret", &now, sign("another secret", &now, body.as_bytes()), body.as_str()),
        ("another body", &now, good.clone(), "{}"),
        ("another time", &(now.parse::<u64>().unwrap() - 1).to_string(), good.clone(), &body),
        ("too old", &old, sign(SECRET, &old, body.as_bytes()), &body),
        ("of the future", &new, sign(SECRET, &new, body.as_bytes()), &body),
        ("no time", &String::new(), sign(SECRET, "", body.as_bytes()), &body),
        ("odd time", &"1e9".to_owned(), sign(SECRET, "1e9", body.as_bytes()), &body),
        ("without v1=", &now, good.trim_start_matches("v1=").to_owned(), &body),
        ("cut", &now, good[..good.len() - 1].to_owned(), &body),
        ("none", &now, String::new(), &body),
        ("not ASCII", &now, "v1=é".to_owned(), &body),
    ] {
        assert_eq!(call(url, timestamp, &signature, body).await.0, 401, "{case}");
    }
    let event = json!({ "push": { "content": { "type": "event", "event": "x" } } }).to_string();
    let now = self::now().to_string();
    assert_eq!(call(url, &now, &sign(SECRET, &now, event.as_bytes()), &event).await.0, 204);
}

async fn an_example_works(program: &str, file: &str) {
    let (_child, url) = run(program, file).await;
    an_example_believes_nobody_but_kefu(&url).await;

    let mut options = ShopOptions::new(Backend::Embedded);
    options.rules = format!("[[rule]]\nwhen = {{}}\nwebhook = {{ url = \"{url}\", media = true }}\n");
    options.settings.push(("webhook", format!("secret = \"{SECRET}\"")));
    let shop = Shop::start(options).await;
    shop.push("oUSER", Message::text("二维码 \"]]>\u{1f44b}")).await;
    shop.push("oUSER", Message::Event { event: "some_event".into(), fields: Default::default() }).await;
    shop.push("oUSER", Message::image()).await;
    let replies: Vec<Value> = shop.replies_within("oUSER", 2).await;
    let size =
        std::fs::metadata(concat!(env!("CARGO_MANIFEST_DIR"), "/../simulator/assets/picture.png")).unwrap().len();
    let expected = format!("A picture of {size} bytes, thank you.");
    assert_eq!(texts(&replies), ["You wrote: 二维码 \"]]>\u{1f44b}", &expected]);
}

#[tokio::test]
async fn the_example_in_python_works() {
    an_example_works("python3", "webhook.py").await;
}

#[tokio::test]
async fn the_example_in_javascript_works() {
    an_example_works("node", "webhook.mjs").await;
}
