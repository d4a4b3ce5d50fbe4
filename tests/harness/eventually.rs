//! The one way in which tests wait.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks again and again until `look` says `Ok`, and hands its value on.
///
/// `look` says in its error what it saw instead, for the failure text.
///
/// # Panics
/// When `deadline` is over: `what` was awaited, and what the last look saw.
pub async fn eventually<T, E: Display>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut last = None;
    let looking = async {
        loop {
            match look().await {
                Ok(value) => return value,
                Err(seen) => last = Some(seen.to_string()),
            }
            sleep(INTERVAL).await;
        }
    };
    match timeout(deadline, looking).await {
        Ok(value) => value,
        Err(_) => panic!(
            "not within {deadline:?}: {what}; {}",
            last.map_or_else(
                || "the first look did not come to an end".to_owned(),
                |seen| format!("last seen: {seen}")
            )
        ),
    }
}
