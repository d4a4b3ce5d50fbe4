//! Waiting for what must come, within a bound.

use std::time::{Duration, Instant};

/// How long something that must happen may take beyond its time. Only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks again and again until there is something, and returns it.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    kefu_harness::eventually(PATIENCE, what, async || look().await.ok_or("nothing")).await
}

/// Something that was set up to last.
pub(crate) struct Lasting {
    begun: Instant,
    duration: Duration,
}

impl Lasting {
    /// To be called right before it is set up.
    pub(crate) fn from_now(duration: Duration) -> Self {
        Self { begun: Instant::now(), duration }
    }

    /// Looks until it has ended, which must not be too early.
    pub(crate) async fn ended<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        let seen = eventually(what, look).await;
        // Stores count whole milliseconds, from one that has begun already.
        let least = self.duration.saturating_sub(Duration::from_millis(2));
        assert!(self.begun.elapsed() >= least, "{what} came too early: after {:?}", self.begun.elapsed());
        seen
    }
}
