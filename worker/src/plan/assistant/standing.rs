//! Whether the assistant answers, for `/readyz` and the log.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::failure::{Failure, Kind};

/// The interval within which the worker logs one trouble and its end at most, while answers fail now and then.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The result of this process's latest questions.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    trouble: Option<Trouble>,
    logged: Option<(Instant, Kind)>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    why: String,
    logged: bool,
}

impl Standing {
    pub(super) fn answers(&self) {
        let Some(trouble) = self.0.lock().trouble.take() else { return };
        if trouble.logged {
            let after_seconds = trouble.since.elapsed().as_secs();
            tracing::info!(after_seconds, "the assistant answers again");
        }
    }

    pub(super) fn fails(&self, failure: &Failure) {
        // This failure concerns only one text; the assistant itself is healthy.
        if failure.kind == Kind::Withheld {
            return;
        }
        let now = Instant::now();
        let mut state = self.0.lock();
        let State { trouble, logged } = &mut *state;
        let trouble = trouble.get_or_insert_with(|| Trouble { since: now, why: String::new(), logged: false });
        trouble.why = failure.to_string();
        let is_news = |(at, kind): (Instant, Kind)| {
            kind != failure.kind || (!trouble.logged && now.duration_since(at) >= LOG_EVERY)
        };
        if logged.is_none_or(is_news) {
            (trouble.logged, *logged) = (true, Some((now, failure.kind)));
            if failure.kind.is_for_the_operator() {
                tracing::error!(error = trouble.why, "the assistant cannot answer until this is mended");
            } else {
                tracing::warn!(error = trouble.why, "the assistant does not answer");
            }
        }
    }

    /// The trouble of the last question, if any, in words.
    pub(crate) fn in_words(&self) -> Option<String> {
        let state = self.0.lock();
        let trouble = state.trouble.as_ref()?;
        Some(format!("no answers since {} s: {}", trouble.since.elapsed().as_secs(), trouble.why))
    }
}
