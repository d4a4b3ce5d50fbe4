//! Everything that the simulated WeChat knows, and every request that a test can make to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::api::media::Media;
use crate::api::token::Tokens;
use crate::api::user::Users;
use crate::clock::Clock;
use crate::config::{Limits, SimulatedAccount, SimulatorConfig};
use crate::faults::{FaultKind, FaultRequest, Faults};
use crate::journal::{Entry, Event, Filter, Log};
use crate::message::MsgId;
use crate::push::pusher::Pusher;
use crate::push::request::BuildError;

/// A running simulator without its server. [`Simulator`](crate::Simulator) dereferences to this type, and the HTTP
/// routes below `/simulator` call the same methods.
pub struct State {
    wechat: Mutex<WeChat>,
    clock: Clock,
    url: String,
    pub(crate) pusher: Pusher,
    pub(crate) stopping: CancellationToken,
}

/// The part of the state behind the lock. One lock around this whole part makes the count of a fault exact, and the
/// order of the journal true.
#[derive(Default)]
pub(crate) struct WeChat {
    pub(crate) accounts: BTreeMap<String, SimulatedAccount>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) tokens: Tokens,
    pub(crate) users: Users,
    pub(crate) media: Media,
    pub(crate) faults: Faults,
    pub(crate) journal: Log,
    pub(crate) last_push_id: u64,
    last_msg_id: u64,
}

/// Why the simulator refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The simulator has no such account.
    #[error("there is no account {0}: name the appid of one of the simulator's accounts")]
    UnknownAccount(String),
    /// The account has no callback URL.
    #[error("account {0} has no callback URL: set one in the configuration or with POST /simulator/callback")]
    NoCallback(String),
    /// A value of the request is invalid.
    #[error("{0}")]
    Invalid(String),
    /// The simulator cannot build the push.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The simulator is stopping.
    #[error("the simulator is stopping")]
    Stopped,
}

impl State {
    pub(crate) fn new(config: SimulatorConfig, pusher: Pusher, url: String) -> Self {
        let SimulatorConfig { accounts, limits, clock, .. } = config;
        let wechat = WeChat {
            accounts: accounts.into_iter().map(|account| (account.appid.clone(), account)).collect(),
            limits,
            // MsgIds lie beyond 2^53, and differ after each start, because a receiver remembers the old MsgIds.
            last_msg_id: u64::try_from(clock.now_ms()).unwrap_or(0).saturating_mul(10_000),
            clock: clock.clone(),
            ..WeChat::default()
        };
        Self { wechat: Mutex::new(wechat), clock, url, pusher, stopping: CancellationToken::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, WeChat> {
        self.wechat.lock()
    }

    /// `http://127.0.0.1:PORT`: the base URL of the API, without a slash at the end.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The clock that the simulator uses.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sets the URL that an account's pushes go to.
    ///
    /// # Errors
    /// The simulator has no such account, or the URL is no HTTP URL.
    pub fn set_callback(&self, account: &str, url: &str) -> Result<(), RequestError> {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(RequestError::Invalid("a callback URL begins with http:// or https://".to_owned()));
        }
        let mut wechat = self.lock();
        let unknown = || RequestError::UnknownAccount(account.to_owned());
        wechat.accounts.get_mut(account).ok_or_else(unknown)?.callback_url = Some(url.to_owned());
        Ok(())
    }

    /// Makes users known who have not written yet. The API refuses unknown openids.
    ///
    /// # Errors
    /// The simulator has no such account.
    pub fn register(&self, account: &str, users: &[impl AsRef<str>]) -> Result<(), RequestError> {
        let mut wechat = self.lock();
        wechat.account(account)?;
        for user in users {
            wechat.users.know(account, user.as_ref());
        }
        Ok(())
    }

    /// Orders a fault, or ends the account's tokens at once if the fault is of that kind. Returns the fault's number.
    ///
    /// # Errors
    /// The simulator cannot fulfil the request.
    pub fn fault(&self, request: FaultRequest) -> Result<u64, RequestError> {
        request.check().map_err(RequestError::Invalid)?;
        let (mut wechat, now_ms) = (self.lock(), self.clock.now_ms());
        if let Some(account) = &request.account {
            wechat.account(account)?;
            match request.kind {
                FaultKind::ExpireToken => wechat.tokens.expire(account, now_ms),
                FaultKind::InvalidateToken => wechat.tokens.invalidate(account, now_ms),
                _ => {}
            }
        }
        Ok(wechat.faults.add(request))
    }

    /// The journal's entries that match the filter.
    pub fn journal(&self, filter: &Filter) -> Vec<Arc<Entry>> {
        self.lock().journal.find(filter)
    }

    /// The number of the journal's last entry, 0 before the first.
    pub fn journal_last(&self) -> u64 {
        self.lock().journal.last()
    }

    /// Waits until `count` entries match, at most for `timeout`. Returns the matching entries.
    pub async fn journal_wait(&self, filter: &Filter, count: usize, timeout: Duration) -> Vec<Arc<Entry>> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut changes = self.lock().journal.subscribe();
        let mut rest = filter.clone();
        let mut found = Vec::new();
        loop {
            let last = *changes.borrow_and_update();
            found.extend(self.journal(&rest));
            // The search above has already found an entry that was written between the two lines above.
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
}

impl WeChat {
    pub(crate) fn account(&self, appid: &str) -> Result<&SimulatedAccount, RequestError> {
        self.accounts.get(appid).ok_or_else(|| RequestError::UnknownAccount(appid.to_owned()))
    }

    /// An account and its callback URL.
    pub(crate) fn target(&self, appid: &str) -> Result<(SimulatedAccount, String), RequestError> {
        let account = self.account(appid)?.clone();
        let callback_url = account.callback_url.clone().ok_or_else(|| RequestError::NoCallback(appid.to_owned()))?;
        Ok((account, callback_url))
    }

    pub(crate) fn new_msg_id(&mut self) -> MsgId {
        self.last_msg_id += 1;
        MsgId::Number(self.last_msg_id)
    }

    /// Writes an entry with the current time into the journal.
    pub(crate) fn record(&mut self, account: Option<String>, user: Option<String>, event: Event) {
        self.journal.append(self.clock.now_ms(), account, user, event, self.limits.journal_entries);
    }
}
