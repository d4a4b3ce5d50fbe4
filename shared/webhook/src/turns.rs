//! Turns: how many calls of one endpoint are under way at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kefu_messages::rules::Endpoint;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Above this many endpoints those that nobody asks are forgotten: rules that are read again may bring ever new ones.
const MANY: usize = 64;

/// The turns of all endpoints. Each has its own, so that one that hangs holds up nobody who asks another.
pub(super) struct Turns {
    /// Of each endpoint.
    most: usize,
    lines: Mutex<HashMap<Endpoint, Arc<Line>>>,
}

/// Who wants to ask one endpoint.
struct Line {
    room: Arc<Semaphore>,
    /// Somebody waited in vain, and no turn has ended since: nobody else need wait as long to find that out.
    stuck: AtomicBool,
}

/// One call's turn, which ends by dropping it.
pub(super) struct Turn {
    line: Arc<Line>,
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    /// `most`: how many there are for each endpoint.
    pub(super) fn new(most: usize) -> Self {
        Self { most, lines: Mutex::default() }
    }

    /// Waits for a turn, for `within` at most; `None` if there was none.
    pub(super) async fn take(&self, endpoint: &Endpoint, within: Duration) -> Option<Turn> {
        let line = self.line(endpoint);
        let room = Arc::clone(&line.room);
        let permit = match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if line.stuck.load(Ordering::Relaxed) => return None,
            Err(_) => match timeout(within, room.acquire_owned()).await {
                // It is never closed.
                Ok(permit) => permit.ok()?,
                Err(_) => {
                    line.stuck.store(true, Ordering::Relaxed);
                    return None;
                }
            },
        };
        Some(Turn { line, _permit: permit })
    }

    fn line(&self, endpoint: &Endpoint) -> Arc<Line> {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get(endpoint) {
            return Arc::clone(line);
        }
        if lines.len() >= MANY {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let line = Arc::new(Line { room: Arc::new(Semaphore::new(self.most)), stuck: AtomicBool::new(false) });
        lines.insert(endpoint.clone(), Arc::clone(&line));
        line
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.line.stuck.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    fn endpoint(url: &str) -> Endpoint {
        Endpoint { url: reqwest::Url::parse(url).unwrap(), timeout: None, sync: false, media: false }
    }

    #[tokio::test(start_paused = true)]
    async fn each_endpoint_has_its_own_turns() {
        let turns = Turns::new(1);
        let (hangs, other) = (endpoint("http://shop.example/a"), endpoint("http://shop.example/b"));
        let turn = turns.take(&hangs, LONG).now_or_never().flatten();
        assert!(turn.is_some());
        assert!(turns.take(&other, LONG).now_or_never().flatten().is_some(), "another path is another endpoint");
        assert!(turns.take(&hangs, LONG).now_or_never().is_none(), "there is one turn");
        drop(turn);
        assert!(turns.take(&hangs, LONG).now_or_never().flatten().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_waits_for_what_does_not_come() {
        let turns = Turns::new(1);
        let hangs = endpoint("http://shop.example/");
        let turn = turns.take(&hangs, LONG).await;
        let begun = Instant::now();
        assert!(turns.take(&hangs, LONG).await.is_none());
        assert_eq!(begun.elapsed(), LONG);
        assert!(turns.take(&hangs, LONG).await.is_none());
        assert_eq!(begun.elapsed(), LONG, "the second does not wait");
        drop(turn);
        let _turn = turns.take(&hangs, LONG).await.unwrap();
        assert!(turns.take(&hangs, LONG).now_or_never().is_none(), "since a turn ended it is waited for again");
    }

    #[tokio::test]
    async fn endpoints_that_nobody_asks_are_forgotten() {
        let turns = Turns::new(1);
        let _asked = turns.take(&endpoint("http://shop.example/asked"), LONG).await;
        for number in 0..1_000 {
            drop(turns.take(&endpoint(&format!("http://shop.example/{number}")), LONG).await);
        }
        let lines = turns.lines.lock();
        assert!(lines.len() <= MANY && lines.contains_key(&endpoint("http://shop.example/asked")));
    }
}
