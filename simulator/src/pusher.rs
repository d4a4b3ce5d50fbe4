//! The pushing side over the network: the 5 seconds and the three tries.

use std::time::{Duration, Instant};

use kefu_wechat::push::Format;
use rand::Rng;

use crate::answer::{Verdict, judge};
use crate::clock::Clock;
use crate::config::{Mode, SimulatedAccount};
use crate::push::{BuildError, Push, build_request};
use crate::report::{Outcome, Try};

mod thread;

use thread::OneThread;

/// As much of an answer as is read; more is malformed.
const MAX_ANSWER: usize = 64 * 1_024;

/// Posts pushes over kept-alive connections; clones share them.
#[derive(Clone, Debug)]
pub struct Pusher {
    client: reqwest::Client,
    thread: OneThread,
}

/// Why there is no pusher.
#[derive(Debug, thiserror::Error)]
pub enum PusherError {
    /// No HTTP client.
    #[error("the simulator cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// No thread for it.
    #[error("the simulator cannot start the thread that pushes: {0}")]
    Thread(#[from] std::io::Error),
}

/// One copy of a push and how it is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct PushOrder<'a> {
    /// Whose push it is.
    pub account: &'a SimulatedAccount,
    /// Where it goes.
    pub callback_url: &'a str,
    /// What it says.
    pub push: &'a Push,
    /// XML or JSON.
    pub format: Format,
    /// Plain, compat or safe.
    pub mode: Mode,
    /// How long to wait for each answer; WeChat waits 5 seconds.
    pub timeout: Duration,
    /// How often to try in all; WeChat tries three times.
    pub tries: u32,
    /// How long to wait before the next try.
    pub resend_after: Duration,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The try with this number leaves, counted from 1.
    Leaves(u32),
    /// A try ended; `last` says whether it was the last one.
    Ended {
        /// The try.
        attempt: &'a Try,
        /// Whether no other follows.
        last: bool,
    },
}

/// What came back.
struct Received {
    status: u16,
    content_type: Option<String>,
    body: Vec<u8>,
}

impl Pusher {
    /// No proxy, no redirects. Its connections live on a thread of its own, which ends with the last clone.
    ///
    /// # Errors
    /// If the HTTP client cannot be made, for example because the system has no certificates at all; or the thread.
    pub fn new() -> Result<Self, PusherError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("Mozilla/4.0")
            .tcp_nodelay(true)
            .pool_max_idle_per_host(1_024)
            .build()?;
        Ok(Self { client, thread: OneThread::start()? })
    }

    /// Sends a copy until WeChat is content or the tries are used up. Each try is signed and encrypted anew; whether
    /// WeChat does so is undocumented, and a receiver must not depend on it.
    ///
    /// # Errors
    /// If the push cannot be built.
    pub async fn deliver(
        &self,
        order: &PushOrder<'_>,
        clock: &Clock,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Vec<Try>, BuildError> {
        let PushOrder { account, push, format, mode, .. } = *order;
        let mut tries = Vec::new();
        for number in 1..=order.tries.max(1) {
            if number > 1 {
                tokio::time::sleep(order.resend_after).await;
            }
            let nonce = nonce();
            let request = build_request(account, push, format, mode, clock.now_s(), &nonce, rand::random())?;
            progress(Progress::Leaves(number));
            let post = self
                .client
                .post(request.url(order.callback_url))
                .header("Content-Type", request.content_type)
                .body(request.body);
            let started = Instant::now();
            let (received, verdict) = match self.receive(post, order.timeout).await {
                Ok(received) => {
                    let verdict = judge(account, push, format, mode, &nonce, received.status, &received.body);
                    (Some(received), verdict)
                }
                Err(verdict) => (None, verdict),
            };
            let attempt = report(number, received, verdict, started.elapsed());
            let last = attempt.outcome.accepted() || number >= order.tries;
            progress(Progress::Ended { attempt: &attempt, last });
            tries.push(attempt);
            if last {
                break;
            }
        }
        Ok(tries)
    }

    /// Sends a GET and gives status and body, or what went wrong.
    pub(crate) async fn get(&self, url: String, timeout: Duration) -> Result<(u16, Vec<u8>), String> {
        match self.receive(self.client.get(url), timeout).await {
            Ok(received) => Ok((received.status, received.body)),
            Err(verdict) => Err(verdict.detail.unwrap_or_default()),
        }
    }

    async fn receive(&self, request: reqwest::RequestBuilder, timeout: Duration) -> Result<Received, Verdict> {
        let received = self.thread.run(receive(request, timeout)).await;
        received.unwrap_or_else(|| Err(Verdict::bad(Outcome::Connection, "the request panicked".to_owned())))
    }
}

fn report(number: u32, received: Option<Received>, verdict: Verdict, took: Duration) -> Try {
    let (status, content_type, body) = match received {
        Some(Received { status, content_type, body }) => (Some(status), content_type, Some(body)),
        None => (None, None, None),
    };
    Try {
        number,
        outcome: verdict.outcome,
        status,
        content_type,
        body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
        duration_ms: milliseconds(took),
        detail: verdict.detail,
        transfer: verdict.transfer,
    }
}

async fn receive(request: reqwest::RequestBuilder, timeout: Duration) -> Result<Received, Verdict> {
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
    match tokio::time::timeout(timeout, exchange).await {
        Ok(Ok(received)) => Ok(received),
        // The URL in the error's text would show the signature.
        Ok(Err(error)) => Err(Verdict::bad(Outcome::Connection, reason(&error.without_url()))),
        Err(_) => Err(Verdict::bad(Outcome::Timeout, format!("no whole answer within {} ms", timeout.as_millis()))),
    }
}

fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Decimal digits, as in WeChat's examples.
pub(crate) fn nonce() -> String {
    rand::rng().random_range(100_000_000..2_000_000_000_u32).to_string()
}

/// To the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
