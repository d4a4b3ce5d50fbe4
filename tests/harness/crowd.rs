//! A crowd: many users of one mini program whose messages are pushed at the same time, each on a connection of its own.
//!
//! A crowd pushes as fast as it can, may give requests up, and reports the answer to each message. `kefu-load` measures.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::eventually;
use crate::wechat::{Account, Answer, Client, Format, Message};

/// How long an answer is waited for. WeChat waits 5 s and ingress answers within 4.5 s; an answer that comes later on a busy
/// machine is judged by what it says, and a request without any hangs.
const HANGS: Duration = Duration::from_secs(12);

/// How often the crowd pushes a message that it gets no good answer for.
const TRIES: usize = 4;

/// How long it takes WeChat to push a message again that was refused.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How long something may take to happen, the machine being busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message: the number of its user, and its number among the user's own.
pub type Written = (u32, u32);

/// What WeChat got for one request.
#[derive(Debug)]
enum Got {
    Success(Duration),
    Refused(Duration),
    /// No answer.
    Nothing,
    /// The connection ended before an answer.
    Cut,
}

/// What became of many messages.
#[derive(Debug, Default)]
pub struct Report {
    /// Those answered `success`.
    pub accepted: BTreeSet<Written>,
    /// Those that were not, on any try.
    pub lost: BTreeSet<Written>,
    /// How many requests were answered with something else.
    pub refusals: usize,
    /// How many requests had no answer, though their connection was there.
    pub unanswered: usize,
    /// How long the slowest answer took.
    pub slowest: Duration,
}

impl Report {
    fn note(&mut self, written: Written, got: Got) -> bool {
        match got {
            Got::Success(took) => {
                self.slowest = self.slowest.max(took);
                self.lost.remove(&written);
                self.accepted.insert(written);
                return true;
            }
            Got::Refused(took) => {
                self.slowest = self.slowest.max(took);
                self.refusals += 1;
            }
            Got::Nothing => self.unanswered += 1,
            Got::Cut => {}
        }
        self.lost.insert(written);
        false
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.accepted.extend(other.accepted);
        self.lost.extend(other.lost);
        self.lost.retain(|message| !self.accepted.contains(message));
        self.refusals += other.refusals;
        self.unanswered += other.unanswered;
        self.slowest = self.slowest.max(other.slowest);
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, lost, refusals, unanswered, slowest } = self;
        write!(
            f,
            "{} accepted, {} not ({:?}); {refusals} requests refused, {unanswered} unanswered, slowest answer {slowest:.1?}",
            accepted.len(),
            lost.len(),
            lost.iter().take(5).collect::<Vec<_>>(),
        )
    }
}

/// The users, as seen by WeChat.
#[derive(Debug, Clone)]
pub struct Crowd {
    account: Account,
    pushes: Client,
    accepted: Arc<AtomicUsize>,
}

impl Crowd {
    /// The users of an account that is pushed to here.
    pub fn new(account: Account, pushes: Client) -> Self {
        // Each connection is a file, and some systems allow a thousand unless asked for more.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("the hard limit may be had");
        Self { account, pushes, accepted: Arc::default() }
    }

    /// The openid of a user.
    pub fn openid(user: u32) -> String {
        format!("oCrowd{user}")
    }

    /// The message of an envelope of this crowd.
    ///
    /// # Panics
    /// When it is of somebody else.
    pub fn written(envelope: &serde_json::Value) -> Written {
        let (user, number) = (&envelope["push"]["from_user"], &envelope["push"]["msg_id"]);
        let user = user.as_str().and_then(|user| user.strip_prefix("oCrowd")?.parse().ok());
        let number = number.as_str().and_then(|number| number.parse().ok());
        user.zip(number).unwrap_or_else(|| panic!("nobody of the crowd wrote {envelope}"))
    }

    /// Pushes a message once.
    pub async fn push(&self, written: Written) -> reqwest::Result<Answer> {
        let (user, number) = written;
        let message = Message::text(&Self::openid(user), &format!("{number}"));
        let message = message.number_field("MsgId", number.into());
        self.pushes.try_send(&self.account.appid, &self.account.push(Format::Xml, &message)).await
    }

    /// Pushes messages once, all at the same time.
    pub async fn push_all(&self, all: impl IntoIterator<Item = Written>) -> Report {
        self.push_each(all, 1).await
    }

    /// Pushes messages as WeChat does, all at the same time: again until they are answered `success`, or often enough.
    pub async fn push_as_wechat(&self, all: impl IntoIterator<Item = Written>) -> Report {
        self.push_each(all, TRIES).await
    }

    async fn push_each(&self, all: impl IntoIterator<Item = Written>, tries: usize) -> Report {
        let each = |written| {
            let crowd = self.clone();
            async move {
                let mut report = Report::default();
                crowd.tries(written, tries, &mut report).await;
                report
            }
        };
        together(all.into_iter().map(each)).await
    }

    /// Pushes the messages of these users, of each user one after the other, as WeChat does: the next one only when the one
    /// before is answered `success`, or has been pushed often enough. WeChat gives up the first request for every fifth
    /// message after some milliseconds, and pushes that message again.
    pub async fn write(&self, users: impl IntoIterator<Item = u32>, messages: u32) -> Report {
        let each = |user| {
            let crowd = self.clone();
            async move { crowd.write_as(user, messages).await }
        };
        together(users.into_iter().map(each)).await
    }

    async fn write_as(&self, user: u32, messages: u32) -> Report {
        let mut report = Report::default();
        for number in 1..=messages {
            if (user + number).is_multiple_of(5) {
                let soon = Duration::from_millis(rand::random_range(0..30));
                // The answer may be there by then; WeChat does not see it.
                let _given_up = timeout(soon, self.push((user, number))).await;
            }
            self.tries((user, number), TRIES, &mut report).await;
        }
        report
    }

    /// Waits until so many further messages have been answered `success`.
    pub async fn accepts(&self, further: usize) {
        let before = self.accepted.load(Ordering::Relaxed);
        let what = format!("{further} more messages are accepted");
        eventually(PATIENCE, &what, async || {
            let since = self.accepted.load(Ordering::Relaxed) - before;
            if since >= further { Ok(()) } else { Err(format!("{since} were")) }
        })
        .await;
    }

    async fn tries(&self, written: Written, tries: usize, report: &mut Report) {
        for attempt in 1..=tries {
            let got = self.asks(written).await;
            if report.note(written, got) || attempt == tries {
                return;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn asks(&self, written: Written) -> Got {
        match timeout(HANGS, self.push(written)).await {
            Ok(Ok(answer)) if answer.is_success() => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                Got::Success(answer.duration)
            }
            Ok(Ok(answer)) => Got::Refused(answer.duration),
            Ok(Err(_)) => Got::Cut,
            Err(_) => Got::Nothing,
        }
    }
}

/// Does all at the same time, on all threads.
async fn together(all: impl Iterator<Item = impl Future<Output = Report> + Send + 'static>) -> Report {
    all.collect::<JoinSet<_>>().join_all().await.into_iter().fold(Report::default(), Report::and)
}
