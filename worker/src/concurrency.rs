//! Limits how many messages are in work at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metric;

/// How long a wait may last before the message leaves its slot: longer than a healthy disk needs.
const MOMENT: Duration = Duration::from_millis(500);

/// One slot for each message that may be in work at once. A message that only waits leaves its slot to another message,
/// so that an account in trouble does not delay the other accounts.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Semaphore>);

/// The slot of one message. Dropping the slot gives it back.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    /// `None` while the message has left its slot.
    taken: Option<Taken>,
}

#[derive(Debug)]
struct Taken {
    /// `None` only if the semaphore were closed, and no code closes it.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Waits for a slot, in order of arrival.
    pub(crate) async fn take(&self) -> Slot {
        Slot { slots: self.clone(), taken: Some(self.take_one().await) }
    }

    async fn take_one(&self) -> Taken {
        let permit = Arc::clone(&self.0).acquire_owned().await.ok();
        metrics::gauge!(metric::IN_FLIGHT).increment(1);
        Taken { _permit: permit }
    }
}

impl Slot {
    /// Leaves the slot while `wait` lasts, and then waits for a slot again. An interruption of `wait` should also end
    /// the wait for the slot, so the caller puts its interrupt around this call.
    pub(crate) async fn leave_for<T>(&mut self, wait: impl Future<Output = T>) -> T {
        self.taken = None;
        let output = wait.await;
        self.taken = Some(self.slots.take_one().await);
        output
    }

    /// Does the same as [`Slot::leave_for`] once `wait` takes longer than a moment. The method is meant for a wait
    /// that nearly always ends at once but may hang.
    pub(crate) async fn leave_if_long<T>(&mut self, wait: impl Future<Output = T>) -> T {
        tokio::pin!(wait);
        match tokio::time::timeout(MOMENT, &mut wait).await {
            Ok(output) => output,
            Err(_) => self.leave_for(wait).await,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        metrics::gauge!(metric::IN_FLIGHT).decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_that_waits_leaves_its_slot_to_another() {
        let slots = Slots::new(1);
        let mut first = slots.take().await;
        assert!(slots.take().now_or_never().is_none(), "there is room for one only");
        let leave = first.leave_for(async { slots.take().now_or_never().is_some() });
        assert_eq!(tokio::time::timeout(Duration::from_secs(1), leave).await, Ok(true));
        assert!(slots.take().now_or_never().is_none(), "the first has its slot again");
        drop(first);
        assert!(slots.take().now_or_never().is_some());
    }
    #[tokio::test(start_paused = true)]
    async fn only_a_wait_that_takes_long_leaves_the_slot() {
        let slots = Slots::new(1);
        let mut slot = slots.take().await;
        for (wait, leaves) in [(MOMENT / 2, false), (MOMENT * 2, true)] {
            let another = tokio::time::timeout(MOMENT * 4, slots.take());
            let (waited, another) =
                tokio::join!(slot.leave_if_long(tokio::time::sleep(wait)), async { another.await.is_ok() });
            assert_eq!((waited, another), ((), leaves), "{wait:?}");
        }
        assert!(slots.take().now_or_never().is_none(), "it has its slot again");
    }
}
