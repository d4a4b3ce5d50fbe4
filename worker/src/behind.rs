//! What waits in a lane behind the message that is in work.
//!
//! A message that has had its turn and must have another is in [`crate::order`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kefu_messages::window::Opening;
use kefu_queue::Delivery;

use crate::lanes::LaneKey;

/// How many messages wait in a lane that opened the user's window anew when they came: WeChat knows of them already, the
/// record does not.
#[derive(Debug, Default)]
pub(crate) struct Behind(Mutex<HashMap<LaneKey, usize>>);

impl Behind {
    /// Whether a message of the user opens a window.
    pub(crate) fn opens(delivery: &Delivery) -> bool {
        delivery.envelope.as_ref().is_ok_and(|envelope| Opening::of(&envelope.push).is_some())
    }

    /// One that does so waits now.
    pub(crate) fn add(&self, lane: &LaneKey) {
        *self.lock().entry(lane.clone()).or_default() += 1;
    }

    /// One that does so waits no longer.
    pub(crate) fn remove(&self, lane: &LaneKey) {
        let mut waiting = self.lock();
        if let Some(count) = waiting.get_mut(lane) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(lane);
            }
        }
    }

    /// Whether one that does so waits.
    pub(crate) fn any(&self, lane: &LaneKey) -> bool {
        self.lock().contains_key(lane)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LaneKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
