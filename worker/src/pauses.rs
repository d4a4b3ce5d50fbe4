//! Accounts whose sends are paused because WeChat refuses them for now.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metric;

/// Why an account is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Too many calls: it passes by itself, soon.
    Rate,
    /// Something that an operator must mend.
    Operator,
}

/// A pause of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Instant,
    pub(crate) cause: Cause,
    /// For people.
    pub(crate) why: String,
}

/// The pauses of this process. Other processes find out for themselves.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<BTreeMap<String, Pause>>);

impl Pauses {
    /// Pauses the account, unless it is paused for longer or for a worse cause. Whether this is news.
    pub(crate) fn begin(&self, appid: &str, cause: Cause, pause: Duration, why: &str) -> bool {
        let until = Instant::now() + pause;
        let mut pauses = self.lock();
        if pauses.get(appid).is_some_and(|known| known.until > Instant::now() && known.cause >= cause) {
            return false;
        }
        metrics::gauge!(metric::ACCOUNT_PAUSED, "account" => appid.to_owned()).set(1);
        pauses.insert(appid.to_owned(), Pause { until, cause, why: why.to_owned() });
        true
    }

    /// The pause of the account, unless it has none or it is over.
    pub(crate) fn of(&self, appid: &str) -> Option<Pause> {
        self.lock().get(appid).filter(|pause| pause.until > Instant::now()).cloned()
    }

    /// Forgets the pauses that are over.
    pub(crate) fn sweep(&self) {
        self.lock().retain(|appid, pause| {
            let lasts = pause.until > Instant::now();
            if !lasts {
                metrics::gauge!(metric::ACCOUNT_PAUSED, "account" => appid.clone()).set(0);
                tracing::info!(account = appid, "the account's pause is over");
            }
            lasts
        });
    }

    /// The pauses that an operator should see, in words.
    pub(crate) fn in_words(&self) -> Option<String> {
        let pauses = self.lock();
        let lines: Vec<String> =
            pauses.iter().map(|(appid, pause)| format!("{appid} is paused: {}", pause.why)).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_and_holds_up_no_other_account() {
        let pauses = Pauses::default();
        assert!(pauses.begin("wx1", Cause::Operator, Duration::from_secs(300), "the AppSecret is wrong"));
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
        let pauses = Pauses::default();
        assert!(pauses.begin("wx1", Cause::Rate, Duration::from_secs(60), "rate"));
        assert!(!pauses.begin("wx1", Cause::Rate, Duration::from_secs(60), "rate"));
        assert!(pauses.begin("wx1", Cause::Operator, Duration::from_secs(300), "secret"));
        assert!(!pauses.begin("wx1", Cause::Rate, Duration::from_secs(60), "rate"));
        assert_eq!(pauses.of("wx1").unwrap().cause, Cause::Operator);
    }
}
