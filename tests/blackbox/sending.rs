//! A team's own backend sends through `/v1`: what it is answered, and what the user gets.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::process::{Program, Role};
use kefu_harness::shop::{Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_simulator::Message;
use serde_json::{Value, json};

mod contract;
mod ends;
mod once;
mod outages;
mod refusals;
mod repeated;

const PATIENCE: Duration = Duration::from_secs(60);

const KEY: &str = "key-of-the-tests-0123456789abcdef";
const PREVIOUS_KEY: &str = "key-of-the-tests-before-that-one";

const SEND: &str = "custom/send";

/// What a backend is answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
    took: Duration,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}"))
    }
}

/// A team's own backend.
struct Caller {
    url: String,
    client: reqwest::Client,
}

impl Caller {
    fn of(program: &Program) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a plain client can be built");
        Self { url: program.url(Role::Internal), client }
    }

    fn request(&self, appid: &str, idempotency_key: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/v1/accounts/{appid}/messages", self.url);
        self.client.post(url).bearer_auth(KEY).header("idempotency-key", idempotency_key)
    }

    async fn send(&self, appid: &str, idempotency_key: &str, body: &Value) -> Answer {
        answer(self.request(appid, idempotency_key).json(body)).await
    }

    /// Sends it, and it must be accepted.
    async fn accepted(&self, appid: &str, idempotency_key: &str, body: &Value) -> String {
        let answer = self.send(appid, idempotency_key, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.header("location"), format!("/v1/messages/{}", answer.id()));
        answer.id().to_owned()
    }

    async fn state(&self, id: &str) -> Answer {
        answer(self.client.get(format!("{}/v1/messages/{id}", self.url)).bearer_auth(KEY)).await
    }

    /// Waits until it has this status, and gives all that is said.
    async fn becomes(&self, id: &str, status: &str) -> Value {
        eventually(PATIENCE, &format!("the message is {status}"), async || {
            let answer = self.state(id).await;
            if answer.body["status"] == status { Ok(answer.body) } else { Err(format!("{answer:?}")) }
        })
        .await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let started = std::time::Instant::now();
    let response = request.send().await.expect("there is an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.expect("the answer is whole");
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer { status, headers, body, took: started.elapsed() }
}

/// A shop whose backend may send; no rule sends anything.
fn options(backend: Backend) -> ShopOptions {
    let keys = format!("key = \"{KEY}\"\nprevious_key = \"{PREVIOUS_KEY}\"");
    ShopOptions::new(backend).with_rules("").with("api", keys)
}

async fn start(backend: Backend) -> (Shop, Caller) {
    let shop = Shop::start(options(backend)).await;
    let caller = Caller::of(&shop.stack.programs[0]);
    (shop, caller)
}

/// A message of the user, so that WeChat takes replies.
async fn writes(shop: &Shop, user: &str) {
    assert!(shop.push(user, Message::text("hello")).await.answered);
}

fn text(user: &str, text: &str) -> Value {
    json!({ "to": user, "replies": [{ "text": text }] })
}

fn picture(user: &str) -> Value {
    json!({ "to": user, "replies": [{ "image": "code.png" }] })
}
