//! The assistant's server in memory. It answers with success, or as the test says, and records the questions.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::plan::assistant::client::{Completions, Raw};
use crate::plan::assistant::failure::Failure;

/// The scripted answer to one request, given after a while.
struct Scripted {
    after: Duration,
    answer: Result<Raw, Failure>,
}

#[derive(Default)]
pub(crate) struct FakeCompletions {
    requests: Mutex<Vec<Value>>,
    script: Mutex<VecDeque<Scripted>>,
}

impl FakeCompletions {
    /// Scripts the answer to the next request without a script, given after `after`.
    pub(crate) fn answer(&self, after: Duration, status: u16, body: impl Into<Vec<u8>>) {
        let raw = Raw { status, retry_after: None, body: body.into() };
        self.script.lock().unwrap().push_back(Scripted { after, answer: Ok(raw) });
    }

    /// Does the same as [`FakeCompletions::answer`], with status 429.
    pub(crate) fn throttle(&self, retry_after: Option<Duration>) {
        let raw = Raw { status: 429, retry_after, body: Vec::new() };
        self.script.lock().unwrap().push_back(Scripted { after: Duration::ZERO, answer: Ok(raw) });
    }

    pub(crate) fn fail(&self, failure: Failure) {
        self.script.lock().unwrap().push_back(Scripted { after: Duration::ZERO, answer: Err(failure) });
    }

    /// The bodies of all requests, in order.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

/// A chat completion that says `text`.
pub(crate) fn completion(text: &str) -> Vec<u8> {
    let message = json!({ "role": "assistant", "content": text });
    json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] }).to_string().into_bytes()
}

#[async_trait]
impl Completions for FakeCompletions {
    /// Repeats the last message of the request, unless the test scripted another answer.
    async fn complete(&self, body: Vec<u8>) -> Result<Raw, Failure> {
        let request: Value = serde_json::from_slice(&body).unwrap();
        let text = request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
        self.requests.lock().unwrap().push(request);
        let scripted = self.script.lock().unwrap().pop_front();
        let Some(Scripted { after, answer }) = scripted else {
            return Ok(Raw { status: 200, retry_after: None, body: completion(&format!("re: {text}")) });
        };
        tokio::time::sleep(after).await;
        answer
    }
}
