//! Accounts whose sends, or whose fetches of users' pictures, are paused because WeChat refuses them for now.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::metric;
use crate::outcome::{Outcome, RETRY_TOTAL};

/// How many times an attempt waits in its lane for the account's rate limit.
const MAX_SLOWED: u32 = 2;

/// Why an account is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PausedBy {
    /// The account made too many calls. This passes by itself, soon.
    Rate,
    /// An operator must remove the cause.
    Operator,
}

/// A pause of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Instant,
    pub(crate) cause: PausedBy,
    /// The reason, in words for people.
    pub(crate) why: String,
}

/// The length of a new pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PauseLength {
    Fixed(Duration),
    /// The next length of [`GROWING`]; a successful send of the account starts the lengths anew.
    Growing,
}

/// The lengths of growing pauses. The first is short, since the cause may pass, and yet long enough for tries that each
/// cost a call or two.
const GROWING: [Duration; 4] =
    [Duration::from_secs(30), Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(300)];

/// The result of [`Pauses::begin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Whether a pause began, or an existing pause got a worse cause.
    pub(crate) news: bool,
    /// How long the account is paused from now on.
    pub(crate) lasts: Duration,
}

/// The pauses of this process. Other processes notice the refusals themselves.
#[derive(Debug)]
pub(crate) struct Pauses {
    /// The paused calls, in words.
    what: &'static str,
    /// The state of a paused account, in words.
    does: &'static str,
    gauge: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pauses: BTreeMap<String, Pause>,
    /// The number of an account's growing pauses since its last successful send.
    grown: BTreeMap<String, usize>,
}

impl Pauses {
    /// The pauses of everything that an account sends.
    pub(crate) fn of_sends() -> Self {
        let (what, does) = ("the account's sends", "is paused");
        Self { what, does, gauge: metric::ACCOUNT_PAUSED, state: Mutex::default() }
    }

    /// The pauses of an account's fetches of users' pictures.
    pub(crate) fn of_fetches() -> Self {
        let (what, does) = ("the account's fetches of users' pictures", "fetches no pictures of users");
        Self { what, does, gauge: metric::MEDIA_FETCHES_PAUSED, state: Mutex::default() }
    }

    /// Pauses the account, unless a pause for the same cause or a worse one lasts already.
    pub(crate) fn begin(&self, appid: &str, cause: PausedBy, length: PauseLength, why: &str) -> Begun {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(known) = state.pauses.get(appid).filter(|known| known.until > now && known.cause >= cause) {
            return Begun { news: false, lasts: known.until - now };
        }
        let lasts = match length {
            PauseLength::Fixed(length) => length,
            PauseLength::Growing => {
                let grown = state.grown.entry(appid.to_owned()).or_default();
                let length = GROWING[(*grown).min(GROWING.len() - 1)];
                *grown += 1;
                length
            }
        };
        metrics::gauge!(self.gauge, "account" => appid.to_owned()).set(1);
        state.pauses.insert(appid.to_owned(), Pause { until: now + lasts, cause, why: why.to_owned() });
        Begun { news: true, lasts }
    }

    /// Does the same as [`Pauses::begin`], and logs the pause if the pause is news. Returns the outcome of a message
    /// that does not wait for the end of the pause in its lane.
    pub(crate) fn begin_because(&self, appid: &str, cause: PausedBy, length: PauseLength, error: String) -> Outcome {
        let what = self.what;
        let Begun { news, lasts } = self.begin(appid, cause, length, &error);
        match cause {
            _ if !news => {}
            PausedBy::Rate => tracing::warn!(account = appid, pause = ?lasts, error, "{what} are paused"),
            PausedBy::Operator => {
                tracing::error!(account = appid, pause = ?lasts, error, "{what} are paused: an operator must act")
            }
        }
        Outcome::Postpone { at_least: lasts, error }
    }

    /// Waits for the end of the account's pause; [`Outcome::Postpone`] when that would be too long for the lane.
    pub(crate) async fn wait_out(&self, attempt: &mut Attempt<'_>) -> Result<(), Outcome> {
        while let Some(pause) = self.of(&attempt.account.appid) {
            let remaining = pause.until.saturating_duration_since(Instant::now());
            let too_long = remaining > RETRY_TOTAL || attempt.slowed >= MAX_SLOWED;
            if pause.cause == PausedBy::Operator || too_long {
                let error = format!("{} are paused: {}", self.what, pause.why);
                return Err(Outcome::Postpone { at_least: remaining, error });
            }
            attempt.slowed += 1;
            // The jitter spreads the account's lanes, which all wait for the same moment.
            let jitter = rand::random_range(Duration::ZERO..=remaining / 4);
            attempt.pause(remaining + jitter).await?;
        }
        Ok(())
    }

    /// The account sent something, so its growing pauses start from the shortest again.
    pub(crate) fn forgive(&self, appid: &str) {
        self.state.lock().grown.remove(appid);
    }

    /// The account's pause, unless the pause is over.
    pub(crate) fn of(&self, appid: &str) -> Option<Pause> {
        self.state.lock().pauses.get(appid).filter(|pause| pause.until > Instant::now()).cloned()
    }

    /// Forgets all pauses that have ended.
    pub(crate) fn sweep(&self) {
        self.state.lock().pauses.retain(|appid, pause| {
            let lasts = pause.until > Instant::now();
            if !lasts {
                metrics::gauge!(self.gauge, "account" => appid.clone()).set(0);
                tracing::info!(account = appid, "the pause of {} is over", self.what);
            }
            lasts
        });
    }

    /// The pauses that an operator should see, in words.
    pub(crate) fn in_words(&self) -> Option<String> {
        let state = self.state.lock();
        let lines: Vec<String> =
            state.pauses.iter().map(|(appid, pause)| format!("{appid} {}: {}", self.does, pause.why)).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(seconds: u64) -> PauseLength {
        PauseLength::Fixed(Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_and_holds_up_no_other_account() {
        let pauses = Pauses::of_sends();
        assert!(pauses.begin("wx1", PausedBy::Operator, fixed(300), "the AppSecret is wrong").news);
        assert!(pauses.of("wx1").is_some());
        assert!(pauses.of("wx2").is_none());
        assert_eq!(pauses.in_words().unwrap(), "wx1 is paused: the AppSecret is wrong");
        tokio::time::advance(Duration::from_secs(301)).await;
        assert!(pauses.of("wx1").is_none());
        pauses.sweep();
        assert_eq!(pauses.in_words(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_failure_of_the_same_kind_is_no_news_but_a_worse_one_is() {
        let pauses = Pauses::of_sends();
        assert!(pauses.begin("wx1", PausedBy::Rate, fixed(60), "rate").news);
        assert!(!pauses.begin("wx1", PausedBy::Rate, fixed(60), "rate").news);
        assert!(pauses.begin("wx1", PausedBy::Operator, fixed(300), "secret").news);
        let second = pauses.begin("wx1", PausedBy::Rate, fixed(60), "rate");
        assert_eq!(second, Begun { news: false, lasts: Duration::from_secs(300) });
        assert_eq!(pauses.of("wx1").unwrap().cause, PausedBy::Operator);
    }

    #[tokio::test(start_paused = true)]
    async fn growing_pauses_grow_once_a_pause_up_to_the_longest_and_until_something_is_sent() {
        let pauses = Pauses::of_sends();
        let begin = || pauses.begin("wx1", PausedBy::Operator, PauseLength::Growing, "refused");
        for seconds in [30, 60, 120, 300, 300] {
            let lasts = Duration::from_secs(seconds);
            assert_eq!(begin(), Begun { news: true, lasts });
            assert_eq!(begin(), Begun { news: false, lasts }, "another lane found the same");
            tokio::time::advance(lasts).await;
        }
        pauses.forgive("wx1");
        assert_eq!(begin().lasts, Duration::from_secs(30));
    }
}
