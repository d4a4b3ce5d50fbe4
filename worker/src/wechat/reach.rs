//! Whether WeChat's API answers, for `/readyz`, the gauge and the log.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::failure::Failure;
use crate::metric;

/// The interval within which the worker logs one change and its end at most, while calls fail now and then.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The result of this process's latest calls.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    outage: Option<Outage>,
    logged: Option<Instant>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    why: String,
    logged: bool,
}

impl Reach {
    /// Records that the API answered, whatever the answer says.
    pub(super) fn answered(&self) {
        let Some(outage) = self.0.lock().outage.take() else { return };
        metrics::gauge!(metric::WECHAT_UNREACHABLE).set(0);
        if outage.logged {
            let after_seconds = outage.since.elapsed().as_secs();
            tracing::info!(after_seconds, "WeChat's API is reached again");
        }
    }

    /// Records that no answer came, or that a gateway in front of the API answered.
    pub(super) fn failed(&self, failure: &Failure) {
        let now = Instant::now();
        let mut state = self.0.lock();
        let State { outage, logged } = &mut *state;
        let outage = outage.get_or_insert_with(|| {
            metrics::gauge!(metric::WECHAT_UNREACHABLE).set(1);
            Outage { since: now, why: String::new(), logged: false }
        });
        outage.why = failure.to_string();
        if !outage.logged && logged.is_none_or(|logged| now.duration_since(logged) >= LOG_EVERY) {
            (outage.logged, *logged) = (true, Some(now));
            tracing::warn!(error = outage.why, "WeChat's API cannot be reached: replies wait");
        }
    }

    /// The outage that the last call met, if any, in words.
    pub(crate) fn in_words(&self) -> Option<String> {
        let state = self.0.lock();
        let outage = state.outage.as_ref()?;
        Some(format!("WeChat's API is not reached since {} s: {}", outage.since.elapsed().as_secs(), outage.why))
    }
}
