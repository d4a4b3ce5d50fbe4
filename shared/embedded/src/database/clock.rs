//! The clock of the database's due times and expiries.

use std::time::{Duration, Instant};

/// Milliseconds since the Unix epoch. The clock starts at the system's time and continues by the monotonic clock: a change
/// of the system's time while the process runs neither ends a lease early nor extends it for hours.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    started: Instant,
    started_ms: u64,
    #[cfg(test)]
    ahead_ms: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            started_ms: kefu_runtime::clock::now_ms(),
            #[cfg(test)]
            ahead_ms: std::sync::Arc::default(),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        let now_ms = self.started_ms + self.started.elapsed().as_millis() as u64;
        #[cfg(test)]
        let now_ms = now_ms + self.ahead_ms.load(std::sync::atomic::Ordering::Relaxed);
        now_ms
    }

    /// Moves the time forward at once, for all clones.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(millis(by), std::sync::atomic::Ordering::Relaxed);
    }
}

/// Whole milliseconds, rounded up, so that nothing expires or is due too early. Add them with `saturating_add`.
pub(crate) fn millis(duration: Duration) -> u64 {
    duration.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX)
}
