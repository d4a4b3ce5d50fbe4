//! A gate: how many of one kind of call are under way at once, where calls may hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Lets a fixed number of calls through at once. While calls hang, only one caller waits for them in vain: the gate remembers
/// that, and turns later callers away at once until a call ends. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    permits: Arc<Semaphore>,
    /// A caller waited in vain, and no call has ended since.
    stuck: AtomicBool,
}

/// A permit for one call, which dropping it ends.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    _permit: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate for `most` calls at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(State { permits: Arc::new(Semaphore::new(most)), stuck: AtomicBool::new(false) }))
    }

    /// Waits for a permit until `deadline`; `None` if none came free, at once if an earlier caller has just waited in vain.
    pub async fn enter(&self, deadline: Instant) -> Option<Permit> {
        let permits = Arc::clone(&self.0.permits);
        let permit = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if self.0.stuck.load(Ordering::Relaxed) => return None,
            Err(_) => match timeout_at(deadline, permits.acquire_owned()).await {
                // The semaphore is never closed.
                Ok(permit) => permit.ok()?,
                Err(_) => {
                    self.is_stuck();
                    return None;
                }
            },
        };
        Some(Permit { gate: self.clone(), _permit: permit })
    }

    /// Notes that a call that went through hangs.
    pub fn is_stuck(&self) {
        self.0.stuck.store(true, Ordering::Relaxed);
    }

    /// Whether nobody but this clone knows the gate, so that no call is under way.
    pub fn is_unused(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.0.stuck.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_waits_for_a_permit_that_does_not_come() {
        let gate = Gate::new(1);
        let permit = gate.enter(soon()).now_or_never().flatten();
        let begun = Instant::now();
        for _ in 0..2 {
            assert!(gate.enter(soon()).await.is_none());
            assert_eq!(begun.elapsed(), Duration::from_secs(5), "the second does not wait");
        }
        drop(permit);
        let _permit = gate.enter(soon()).await.unwrap();
        assert!(gate.enter(soon()).now_or_never().is_none(), "since a call ended, callers wait again");
    }
}
