//! How long the fault tests go on.

/// Whether all of the suite runs: `KEFU_TEST_FAULTS=all`, set by `tests/run --faults`.
fn all() -> bool {
    std::env::var("KEFU_TEST_FAULTS").is_ok_and(|value| value == "all")
}

/// How often a process is killed.
pub(crate) fn rounds() -> usize {
    if all() { 20 } else { 3 }
}

/// Pushes a second.
pub(crate) fn rate() -> f64 {
    if all() { 200.0 } else { 60.0 }
}

/// How long a server is down.
pub(crate) fn outage() -> std::time::Duration {
    std::time::Duration::from_secs(if all() { 60 } else { 3 })
}
