//! The system's time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, as the system has them: other machines' times can be compared with it, as far as
/// their clocks agree. It may step when the clock is set; durations are measured with
/// [`Instant`](std::time::Instant).
pub fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
