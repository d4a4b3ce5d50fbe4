//! Pushes over the network.

use std::thread;
use std::time::{Duration, Instant};

use kefu_runtime::in_words;
use reqwest::RequestBuilder;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use super::answer::{Verdict, judge};
use super::report::{Outcome, Try};
use super::request::Push;
use crate::start_error::StartError;

/// How many bytes of an answer the simulator reads. A longer answer is malformed.
const MAX_ANSWER: usize = 64 * 1_024;

/// The HTTP client of all pushes, and the one thread that the pushes run on.
///
/// hyper runs a connection as a task beside its requests. On two threads, hyper neither sends nor refuses a request
/// that it gets at the instant at which the connection ends (hyperium/hyper#4122): the push would wait for its whole
/// time limit, and a test would blame ingress. On one thread this instant does not exist.
pub(crate) struct Pusher {
    pub(crate) client: reqwest::Client,
    /// Work on this thread goes on when its caller gives up.
    pub(crate) thread: Handle,
}

/// An answer as it came.
pub(crate) struct Received {
    pub(crate) status: u16,
    content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Pusher {
    /// Builds a client without proxy and redirects, and starts the thread. The thread ends with `end`.
    pub(crate) fn start(end: CancellationToken) -> Result<Self, StartError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("Mozilla/4.0")
            .tcp_nodelay(true)
            .pool_max_idle_per_host(1_024)
            .build()?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let handle = runtime.handle().clone();
        let run = move || runtime.block_on(end.cancelled());
        thread::Builder::new().name("pusher".to_owned()).spawn(run).map_err(StartError::Thread)?;
        Ok(Self { client, thread: handle })
    }
}

/// One try of a push: sends the request and judges the answer.
pub(crate) async fn attempt(push: &Push, nonce: &str, number: u32, post: RequestBuilder, timeout_ms: u64) -> Try {
    let started = Instant::now();
    let received = exchange(post, timeout_ms).await;
    let duration_ms = milliseconds(started.elapsed());
    let (verdict, status, content_type, body) = match received {
        Ok(Received { status, content_type, body }) => {
            let text = String::from_utf8_lossy(&body).into_owned();
            (judge(push, nonce, status, &body), Some(status), content_type, Some(text))
        }
        Err(verdict) => (verdict, None, None, None),
    };
    let Verdict { outcome, detail, transfer } = verdict;
    Try { number, outcome, status, content_type, body, duration_ms, detail, transfer }
}

/// Sends a request and reads the answer, or says what went wrong.
pub(crate) async fn exchange(request: RequestBuilder, timeout_ms: u64) -> Result<Received, Verdict> {
    let exchange = async {
        let mut response = request.send().await?;
        let content_type = response.headers().get("Content-Type").and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                body.truncate(MAX_ANSWER);
                break;
            }
        }
        Ok::<_, reqwest::Error>(Received { status: response.status().as_u16(), content_type, body })
    };
    match tokio::time::timeout(Duration::from_millis(timeout_ms), exchange).await {
        Ok(Ok(received)) => Ok(received),
        // The URL in the error's text would show the signature.
        Ok(Err(error)) => Err(Verdict::bad(Outcome::Connection, in_words(&error.without_url()))),
        Err(_) => Err(Verdict::bad(Outcome::Timeout, format!("no complete answer came within {timeout_ms} ms"))),
    }
}

/// A nonce of decimal digits, as in WeChat's examples.
pub(crate) fn nonce() -> String {
    rand::random_range(100_000_000..2_000_000_000_u32).to_string()
}

/// The duration in milliseconds, to the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
