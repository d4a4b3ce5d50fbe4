//! The simulator's time. A test can move it forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kefu_runtime::clock;

/// The simulator's clock, for windows, tokens, media and `CreateTime`. The 5 seconds of a push and the reported
/// latencies are always real time. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    frozen_at_ms: Option<i64>,
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// A clock with the system's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still, at a time in milliseconds since the Unix epoch, until a test calls
    /// [`Clock::advance`].
    pub fn frozen_at(unix_ms: i64) -> Self {
        Self { frozen_at_ms: Some(unix_ms), ..Self::default() }
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        // The closure never refuses, so neither does the update.
        self.ahead_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |ahead| Some(ahead.saturating_add(by))).ok();
    }

    /// The time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        let base = self.frozen_at_ms.unwrap_or_else(|| i64::try_from(clock::now_ms()).unwrap_or(i64::MAX));
        base.saturating_add(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// The time in seconds since the Unix epoch.
    pub fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_it_is_told_to_and_its_clones_with_it() {
        let clock = Clock::frozen_at(1_000);
        let clone = clock.clone();
        assert_eq!(clone.now_ms(), 1_000);
        clock.advance(Duration::from_millis(2_500));
        assert_eq!((clone.now_ms(), clone.now_s()), (3_500, 3));
    }
}
