//! A stand-in for a server with OpenAI's chat completions API: it answers as it is told, and keeps what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
    /// Nothing until [`StandIn::release`], then a completion with this text.
    Held(String),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST /v1/chat/completions`
    pub line: String,
    /// The headers, each as `name: value` with its name in lower case.
    pub headers: Vec<String>,
    /// The body.
    pub body: Value,
}

impl Asked {
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
pub struct StandIn {
    address: SocketAddr,
    state: Arc<State>,
    released: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    asked: Mutex<Vec<Asked>>,
    script: Mutex<Vec<(String, VecDeque<Answer>)>>,
}

impl StandIn {
    /// Starts it on a port of its own. Unless told otherwise it answers `re: ` and the user's text.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (state, (released, release)) = (Arc::new(State::default()), watch::channel(false));
        let served = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // Connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&served), release.clone()));
            }
        });
        Self { address, state, released, task }
    }

    /// For `[assistant] base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The next requests whose last message is `question` get these answers, one each.
    pub fn script(&self, question: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.state.script.lock().expect("nothing panics while it holds this").push((question.to_owned(), answers));
    }

    /// Lets all [`Answer::Held`] go, those to come as well.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// All requests so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().expect("nothing panics while it holds this").clone()
    }

    /// Those whose last message is `question`.
    pub fn asked_for(&self, question: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.question() == question).collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn answer(&self, question: &str) -> Answer {
        let mut script = self.script.lock().expect("nothing panics while it holds this");
        let scripted = script.iter_mut().filter(|(of, _)| of == question).find_map(|(_, answers)| answers.pop_front());
        scripted.unwrap_or_else(|| Answer::Says(format!("re: {question}")))
    }
}

/// Requests of one connection, until the other side closes it.
async fn serve(mut socket: TcpStream, state: Arc<State>, mut release: watch::Receiver<bool>) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let asked = request(&mut socket, &mut read).await?;
        let answer = state.answer(asked.question());
        state.asked.lock().expect("nothing panics while it holds this").push(asked);
        let written = match answer {
            Answer::Says(text) => ok(&completion(json!({ "role": "assistant", "content": text }), "stop")),
            Answer::Message(message, finish_reason) => ok(&completion(message, finish_reason)),
            Answer::Status(status, header, body) => {
                let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
                format!("HTTP/1.1 {status} As Told\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
            }
            Answer::Cut => {
                let whole =
                    ok(&completion(json!({ "role": "assistant", "content": "a half that is long enough" }), "stop"));
                socket.write_all(&whole.as_bytes()[..whole.len() - 40]).await.ok()?;
                return None;
            }
            Answer::Hang => std::future::pending().await,
            Answer::Held(text) => {
                release.wait_for(|released| *released).await.ok()?;
                ok(&completion(json!({ "role": "assistant", "content": text }), "stop"))
            }
        };
        socket.write_all(written.as_bytes()).await.ok()?;
    }
}

/// The next request; `None` at the end of the connection.
async fn request(socket: &mut TcpStream, read: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let mut lines = head.lines().map(str::to_owned);
            let line = lines.next()?;
            let headers: Vec<String> = lines
                .map(|line| {
                    line.split_once(':').map_or(line.clone(), |(name, value)| name.to_lowercase() + ":" + value)
                })
                .collect();
            let length = headers.iter().find_map(|header| header.strip_prefix("content-length:")?.trim().parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if read.len() >= whole {
                let body = serde_json::from_slice(&read[end + 4..whole]).unwrap_or_default();
                read.drain(..whole);
                return Some(Asked { line, headers, body });
            }
        }
        if socket.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

fn completion(message: Value, finish_reason: &str) -> String {
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish_reason });
    json!({ "id": "chatcmpl-1", "object": "chat.completion", "model": "stand-in", "choices": [choice] }).to_string()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
