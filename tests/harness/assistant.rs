//! A stand-in for a server with OpenAI's chat completions API: it answers as it is told, and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::stand_in::{Does, Request, StandIn};

/// What a request gets.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A completion with this text.
    Says(String),
    /// A completion with this message and this `finish_reason`.
    Message(Value, &'static str),
    /// This status, with a header besides and a body, as they are.
    Status(u16, &'static str, String),
    /// Headers that promise a completion, and the half of it.
    Cut,
    /// Nothing, and an open connection.
    Hang,
    /// Nothing until [`Assistant::release`], then a completion with this text.
    Held(String),
}

/// A request to it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// As it came.
    pub request: Request,
    /// Its body.
    pub body: Value,
}

impl Asked {
    fn of(request: Request) -> Self {
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        Self { request, body }
    }

    /// Role and content of each message.
    pub fn messages(&self) -> Vec<(&str, &str)> {
        let messages = self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |message: &'_ Value, key: &str| message[key].as_str().map(str::to_owned);
        assert!(messages.iter().all(|m| text(m, "role").is_some() && text(m, "content").is_some()), "{messages:?}");
        messages
            .iter()
            .map(|m| (m["role"].as_str().unwrap_or_default(), m["content"].as_str().unwrap_or_default()))
            .collect()
    }

    /// What the user wrote last.
    pub fn question(&self) -> &str {
        self.messages().last().expect("a request has messages").1
    }
}

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct Assistant {
    server: StandIn,
    script: Arc<Mutex<Script>>,
}

/// Questions, and what the next requests for each get.
type Script = Vec<(String, VecDeque<Answer>)>;

impl Assistant {
    /// Starts it on a port of its own. Unless told otherwise it answers `re: ` and the user's text.
    pub async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::new()));
        let told = Arc::clone(&script);
        let server = StandIn::start(move |request| {
            let asked = Asked::of(request);
            does(next(&mut told.lock().expect("nothing panics while it holds this"), asked.question()))
        });
        Self { server: server.await, script }
    }

    /// For `[assistant] base_url`.
    pub fn base_url(&self) -> String {
        self.server.url("/v1")
    }

    /// The next requests whose last message is `question` get these answers, one each.
    pub fn script(&self, question: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.script.lock().expect("nothing panics while it holds this").push((question.to_owned(), answers));
    }

    /// Lets all [`Answer::Held`] go, those to come as well.
    pub fn release(&self) {
        self.server.release();
    }

    /// All requests so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.server.requests().into_iter().map(Asked::of).collect()
    }

    /// Those whose last message is `question`.
    pub fn asked_for(&self, question: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.question() == question).collect()
    }
}

fn next(script: &mut Script, question: &str) -> Answer {
    let scripted = script.iter_mut().filter(|(of, _)| of == question).find_map(|(_, answers)| answers.pop_front());
    scripted.unwrap_or_else(|| Answer::Says(format!("re: {question}")))
}

fn does(answer: Answer) -> Does {
    let says = |text: &str| completion(json!({ "role": "assistant", "content": text }), "stop");
    let json = |body| Does::answer_with(200, "content-type: application/json", body);
    match answer {
        Answer::Says(text) => json(says(&text)),
        Answer::Message(message, finish_reason) => json(completion(message, finish_reason)),
        Answer::Status(status, "", body) => Does::answer(status, body),
        Answer::Status(status, header, body) => Does::answer_with(status, header, body),
        Answer::Cut => Does::Cut(says("a half").into()),
        Answer::Hang => Does::Hang,
        Answer::Held(text) => Does::Held(Box::new(json(says(&text)))),
    }
}

fn completion(message: Value, finish_reason: &str) -> String {
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish_reason });
    json!({ "id": "chatcmpl-1", "object": "chat.completion", "model": "stand-in", "choices": [choice] }).to_string()
}
