//! An HTTP server on loopback that answers as a test says: what [`webhook`](crate::webhook) and
//! [`assistant`](crate::assistant) stand on.
//!
//! It speaks as much of HTTP/1.1 as kefu's clients need, and can do what no library does: break off, and say nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// The first line.
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value; the empty text without one.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// What is done with a request.
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
    /// Nothing until [`StandIn::release`], then this.
    Held(Box<Does>),
}

impl Does {
    /// Answers with a status and a body.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    /// Answers with a status, one header besides, and a body.
    pub fn answer_with(status: u16, header: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: vec![header.into()], body: body.into() }
    }

    /// Redirects.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::answer_with(status, format!("location: {to}"), "")
    }
}

/// A server that runs, with the connections it has, until it is dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    released: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts it on a port of its own. Each request is kept, and then given to `answer`.
    pub async fn start(answer: impl Fn(Request) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port of loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (requests, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let (kept, (released, release)) = (Arc::clone(&requests), watch::channel(false));
        let task = tokio::spawn(async move {
            // They end with it.
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&kept), Arc::clone(&answer), release.clone()));
            }
        });
        Self { address, requests, released, task }
    }

    /// Its address as a URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lets all [`Does::Held`] go, those to come as well.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("nothing panics while it holds this").clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The requests of one connection, until either side ends it.
async fn serve(
    mut socket: TcpStream,
    requests: Arc<Mutex<Vec<Request>>>,
    answer: Arc<impl Fn(Request) -> Does>,
    mut release: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some(request) = take(&mut bytes) else {
            if socket.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            continue;
        };
        requests.lock().expect("nothing panics while it holds this").push(request.clone());
        let mut does = answer(request);
        while let Does::Held(then) = does {
            // The sender goes with the server only.
            let _released = release.wait_for(|released| *released).await;
            does = *then;
        }
        let (status, headers, body, cut) = match does {
            Does::Hang | Does::Held(_) => {
                while socket.read_buf(&mut bytes).await? > 0 {}
                return Ok(());
            }
            Does::Cut(body) => (200, Vec::new(), body, true),
            Does::Answer { status, headers, body } => (status, headers, body, false),
        };
        let mut head = format!("HTTP/1.1 {status} As Told\r\n");
        if status != 204 {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head.extend(headers.iter().map(|header| format!("{header}\r\n")));
        socket.write_all(format!("{head}\r\n").as_bytes()).await?;
        socket.write_all(if cut { &body[..body.len() / 2] } else { &body }).await?;
        if cut {
            return socket.shutdown().await;
        }
    }
}

/// Takes the first request out of what was read, once all of it is there.
fn take(bytes: &mut Vec<u8>) -> Option<Request> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let mut request = Request { line, headers, body: Vec::new() };
    let whole = end + request.header("content-length").parse().unwrap_or(0);
    if bytes.len() < whole {
        return None;
    }
    request.body = bytes[end..whole].to_vec();
    bytes.drain(..whole);
    Some(request)
}
