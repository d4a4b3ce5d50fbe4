//! The simulator's parts together, shared by its HTTP routes and its library interface.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use kefu_wechat::push::{Content, Format, Push as ParsedPush};
use kefu_wechat::signature;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Mode, SimulatedAccount};
use crate::journal::{Entry, Event, Filter};
use crate::media::ImageKind;
use crate::message::{Message, MsgId};
use crate::platform::Platform;
use crate::push::{Push, with_query};
use crate::pusher::{Pusher, milliseconds, nonce};
use crate::report::VerifyReport;
use crate::simulator::RequestError;
use crate::users::Action;

/// What a simulated user sends who sends a picture.
const PICTURE: &[u8] = include_bytes!("../assets/picture.png");

/// Where an account's pushes go, and how.
pub(crate) struct Target {
    pub(crate) account: SimulatedAccount,
    pub(crate) callback_url: String,
    pub(crate) format: Format,
    pub(crate) mode: Mode,
    pub(crate) tries: u32,
    pub(crate) timeout: Duration,
    pub(crate) resend_after: Duration,
}

/// Everything together.
pub(crate) struct World {
    platform: Mutex<Platform>,
    pub(crate) clock: Clock,
    pub(crate) pusher: Pusher,
    /// Where pushes run: a caller that goes away must not cut them short.
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) stopping: CancellationToken,
    /// `http://ADDRESS`
    pub(crate) url: String,
    pub(crate) push_ids: AtomicU64,
    msg_ids: AtomicU64,
}

impl World {
    pub(crate) fn new(platform: Platform, pusher: Pusher, runtime: tokio::runtime::Handle, url: String) -> Self {
        let clock = platform.clock.clone();
        // Beyond 2^53, and other numbers after each start: a receiver remembers the old ones.
        let first = u64::try_from(clock.now_ms()).unwrap_or(0).saturating_mul(10_000);
        Self {
            platform: Mutex::new(platform),
            clock,
            pusher,
            runtime,
            stopping: CancellationToken::new(),
            url,
            push_ids: AtomicU64::new(1),
            msg_ids: AtomicU64::new(first),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Platform> {
        // Every change is complete before anything can panic.
        self.platform.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new_msg_id(&self) -> MsgId {
        MsgId::Number(self.msg_ids.fetch_add(1, Ordering::Relaxed))
    }

    /// An account's callback URL, and how pushes travel there at this moment.
    pub(crate) fn target(
        &self,
        appid: &str,
        format: Option<Format>,
        mode: Option<Mode>,
    ) -> Result<Target, RequestError> {
        let platform = self.lock();
        let (account, limits) = (platform.account(appid)?.clone(), &platform.limits);
        Ok(Target {
            callback_url: account.callback_url.clone().ok_or_else(|| RequestError::NoCallback(appid.to_owned()))?,
            format: format.unwrap_or(account.format),
            mode: mode.unwrap_or(account.mode),
            tries: limits.push_tries,
            timeout: Duration::from_millis(limits.push_timeout_ms),
            resend_after: Duration::from_millis(limits.resend_after_ms),
            account,
        })
    }

    /// Gives a picture without a media_id one that media/get knows.
    pub(crate) fn furnish(&self, appid: &str, message: Message) -> Message {
        match message {
            Message::Image { pic_url, media_id } if media_id.is_empty() => {
                let mut platform = self.lock();
                let (limits, now_s) = (platform.limits, self.clock.now_s());
                let picture = Bytes::from_static(PICTURE);
                let media_id = platform.media.add(appid, ImageKind::Png, picture, &limits, now_s);
                let made_up = || format!("{}/simulator/media/{media_id}", self.url);
                let pic_url = if pic_url.is_empty() { made_up() } else { pic_url };
                Message::Image { pic_url, media_id }
            }
            other => other,
        }
    }

    /// The user does what the push says: becomes known, and opens a window where WeChat does.
    pub(crate) fn act(&self, account: &SimulatedAccount, push: &Push) {
        let (user, action) = match &push.message {
            Message::Enter { .. } => (push.user.clone(), Some(Action::Enter)),
            Message::Event { .. } => (push.user.clone(), None),
            Message::Raw { text } => raw_action(text).unwrap_or_else(|| (push.user.clone(), None)),
            _ => (push.user.clone(), Some(Action::Message)),
        };
        let mut platform = self.lock();
        let limits = platform.limits;
        platform.users.register(&account.appid, &push.user);
        match action {
            Some(action) => platform.users.act(&account.appid, &user, action, &limits, self.clock.now_ms()),
            None => platform.users.register(&account.appid, &user),
        }
    }

    /// WeChat's check of a callback URL.
    pub(crate) async fn verify(&self, appid: &str) -> Result<VerifyReport, RequestError> {
        let Target { account, callback_url, timeout, .. } = self.target(appid, None, None)?;
        let (timestamp, nonce) = (self.clock.now_s().to_string(), nonce());
        let echostr = rand::random_range(10_u64.pow(18)..10_u64.pow(19)).to_string();
        let query = [
            ("signature", signature::sign(&account.token, &timestamp, &nonce)),
            ("timestamp", timestamp),
            ("nonce", nonce),
            ("echostr", echostr.clone()),
        ];
        let started = Instant::now();
        let result = self.pusher.get(with_query(&callback_url, &query), timeout).await;
        let duration_ms = milliseconds(started.elapsed());
        let (status, body, detail) = match result {
            Err(detail) => (None, None, Some(detail)),
            Ok((status, body)) => {
                let detail = match (status, body == echostr.as_bytes()) {
                    (200, true) => None,
                    (200, false) => Some("the body is not the echostr and nothing else".to_owned()),
                    _ => Some(format!("the status is {status}")),
                };
                (Some(status), Some(String::from_utf8_lossy(&body).into_owned()), detail)
            }
        };
        Ok(VerifyReport { ok: detail.is_none(), echostr, status, body, duration_ms, detail })
    }

    /// Waits until `count` entries match, at most for `timeout`; gives those that do.
    pub(crate) async fn journal_wait(&self, filter: &Filter, count: usize, timeout: Duration) -> Vec<Arc<Entry>> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut changes = self.lock().journal.subscribe();
        let mut rest = filter.clone();
        let mut found = Vec::new();
        loop {
            let last = *changes.borrow_and_update();
            found.extend(self.lock().journal.find(&rest));
            // An entry written between the two lines above was found already.
            rest.since = found.last().map_or(last, |entry| entry.seq.max(last)).max(rest.since);
            if found.len() >= count {
                return found;
            }
            tokio::select! {
                changed = tokio::time::timeout_at(deadline, changes.changed()) => {
                    if !matches!(changed, Ok(Ok(()))) {
                        return found;
                    }
                }
                () = self.stopping.cancelled() => return found,
            }
        }
    }

    pub(crate) fn record(&self, appid: &str, user: &str, event: Event) {
        self.lock().record(Some(appid.to_owned()), Some(user.to_owned()), event);
    }
}

/// Who does what in a raw text, if that can be read.
fn raw_action(text: &str) -> Option<(String, Option<Action>)> {
    let push = ParsedPush::parse(text).ok()?;
    let action = match &push.content {
        Content::Event { event, .. } if event == "user_enter_tempsession" => Some(Action::Enter),
        Content::Event { .. } => None,
        _ => Some(Action::Message),
    };
    Some((push.from_user.as_str().to_owned(), action))
}
