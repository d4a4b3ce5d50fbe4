//! A team's own service, as a webhook: answers as the test says, and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::eventually;
use crate::stand_in::{Request, StandIn};

pub use crate::stand_in::Does;

/// How long a call may take to come, the machine being busy.
const PATIENCE: Duration = Duration::from_secs(60);

impl Does {
    /// Answers with these replies.
    pub fn replies(replies: &Value) -> Self {
        Self::answer(200, json!({ "replies": replies }).to_string())
    }

    /// Answers with one text.
    pub fn text(text: &str) -> Self {
        Self::replies(&json!([{ "text": text }]))
    }
}

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its headers.
    pub head: String,
    /// What follows them.
    pub body: Vec<u8>,
}

impl Request {
    /// The body as JSON.
    pub fn envelope(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The user's text.
    pub fn text(&self) -> String {
        self.envelope()["push"]["content"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// The parts of a form.
    pub fn parts(&self) -> Vec<Part> {
        let boundary = self.header("content-type").split_once("boundary=").expect("it is a form").1;
        let (dashes, line) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
        let body = self.body.strip_prefix(dashes.as_bytes()).expect("it begins with its boundary");
        let mut pieces = split(body, line.as_bytes());
        assert_eq!(pieces.pop().as_deref(), Some(&b"--\r\n"[..]), "it ends with its boundary");
        let part = |piece: Vec<u8>| {
            let split = split(&piece, b"\r\n\r\n");
            let head = String::from_utf8(split[0].clone()).expect("heads are text");
            Part { body: piece[head.len() + 4..].to_vec(), head: head.trim().to_owned() }
        };
        pieces.into_iter().map(part).collect()
    }

    /// Whether it is signed with this secret, a moment ago.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let timestamp = self.header("kefu-timestamp");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
        let age = timestamp.parse().map_or(u64::MAX, |timestamp| now.abs_diff(timestamp));
        age <= 120 && self.header("kefu-signature") == sign(secret, timestamp, &self.body)
    }
}

fn split(bytes: &[u8], separator: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index..].starts_with(separator) {
            pieces.push(Vec::new());
            index += separator.len();
        } else {
            pieces.last_mut().expect("there is one").push(bytes[index]);
            index += 1;
        }
    }
    pieces
}

/// The header `Kefu-Signature` for a body, as docs/webhook.md describes it.
pub fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// A service that runs until it is dropped.
#[derive(Debug)]
pub struct Service {
    server: StandIn,
    next: Arc<Mutex<VecDeque<Does>>>,
}

impl Service {
    /// Starts one that does `otherwise` with each call that it is not told anything else about.
    pub async fn start(otherwise: Does) -> Self {
        let next = Arc::new(Mutex::new(VecDeque::new()));
        let told = Arc::clone(&next);
        let server = StandIn::start(move |_| {
            told.lock().expect("nothing panics while it holds this").pop_front().unwrap_or_else(|| otherwise.clone())
        });
        Self { server: server.await, next }
    }

    /// The same, but each such call waits for [`Service::release`] first.
    pub async fn held(otherwise: Does) -> Self {
        Self::start(Does::Held(Box::new(otherwise))).await
    }

    /// Lets all calls go that were held, and holds none any more.
    pub fn release(&self) {
        self.server.release();
    }

    /// Its address as a URL with this path.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// What it does with the next calls, one each, after those that it was told before.
    pub fn then(&self, does: impl IntoIterator<Item = Does>) {
        self.next.lock().expect("nothing panics while it holds this").extend(does);
    }

    /// The calls so far.
    pub fn asked(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Waits until there are `count` calls, and gives them.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn asked_within(&self, count: usize) -> Vec<Request> {
        eventually(PATIENCE, &format!("{count} calls of the webhook"), async || {
            let asked = self.asked();
            if asked.len() >= count { Ok(asked) } else { Err(format!("{} came", asked.len())) }
        })
        .await
    }
}
