//! A team's own service, as a webhook: answers as the test says, and keeps what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::eventually;

/// How long a call may take to come, the machine being busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the service does with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// Answers.
    Answer {
        /// The status.
        status: u16,
        /// Further headers, each as a line.
        headers: Vec<String>,
        /// The body.
        body: Vec<u8>,
    },
    /// Answers with the first half of this body, and ends the connection.
    Cut(Vec<u8>),
    /// Nothing, for as long as the caller stays.
    Hang,
}

impl Does {
    /// Answers with a status and a body.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    /// Answers with these replies.
    pub fn replies(replies: &Value) -> Self {
        Self::answer(200, json!({ "replies": replies }).to_string())
    }

    /// Answers with one text.
    pub fn text(text: &str) -> Self {
        Self::replies(&json!([{ "text": text }]))
    }

    /// Redirects.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::Answer { status, headers: vec![format!("location: {to}")], body: Vec::new() }
    }
}

/// A call.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The first line.
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
}

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its headers.
    pub head: String,
    /// What follows them.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header's value; the empty text without one.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

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
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    next: VecDeque<Does>,
    otherwise: Does,
    asked: Vec<Asked>,
}

impl Service {
    /// Starts one that does `otherwise` with each call that it is not told anything else about.
    pub async fn start(otherwise: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port of loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(State { next: VecDeque::new(), otherwise, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // The calls under way end with it.
            let mut calls = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                calls.spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// Its address as a URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it does with the next calls, one each, after those that it was told before.
    pub fn then(&self, does: impl IntoIterator<Item = Does>) {
        self.state.lock().expect("nothing panics while it holds this").next.extend(does);
    }

    /// The calls so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("nothing panics while it holds this").asked.clone()
    }

    /// Waits until there are `count` calls, and gives them.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn asked_within(&self, count: usize) -> Vec<Asked> {
        eventually(PATIENCE, &format!("{count} calls of the webhook"), async || {
            let asked = self.asked();
            if asked.len() >= count { Ok(asked) } else { Err(format!("{} came", asked.len())) }
        })
        .await
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let (head, body) = loop {
        if socket.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(whole) = whole(&request) {
            break whole;
        }
    };
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.into()));
    let asked = Asked { line, headers: headers.collect(), body };
    let does = {
        let mut state = state.lock().expect("nothing panics while it holds this");
        state.asked.push(asked);
        state.next.pop_front().unwrap_or_else(|| state.otherwise.clone())
    };
    let (status, headers, body, sent) = match does {
        Does::Hang => {
            // Until the caller goes away.
            while socket.read_buf(&mut request).await? > 0 {}
            return Ok(());
        }
        Does::Cut(body) => {
            let half = body.len() / 2;
            (200, Vec::new(), body, half)
        }
        Does::Answer { status, headers, body } => {
            let whole = body.len();
            (status, headers, body, whole)
        }
    };
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
    if status != 204 {
        head += &format!("content-length: {}\r\n", body.len());
    }
    head.extend(headers.iter().map(|header| format!("{header}\r\n")));
    socket.write_all(format!("{head}\r\n").as_bytes()).await?;
    socket.write_all(&body[..sent]).await?;
    socket.shutdown().await
}

/// Head and body of a request, once all of it is there.
fn whole(request: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let body = &request[end + 4..];
    let length: usize = length.unwrap_or_default();
    (body.len() >= length).then(|| (head, body.to_vec()))
}
