//! Messages that are in the queue again and have not ended: the user's next ones, which have the lane now, wait for them
//! all the same.
//!
//! What is still in the lane, and has not had its turn, is in [`crate::behind`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kefu_shared::message_key::MessageKey;
use tokio::time::Instant;

use crate::halt::Halt;
use crate::lanes::LaneKey;
use crate::message::Message;

/// How long it is remembered that a message left. Longer than its user's next ones wait, so that it cannot make them wait
/// over and over.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The messages that are away, each user's in the order that they came in. Those of this process: another one that gets the
/// partition does not know of them, and their order is given up.
#[derive(Debug)]
pub(crate) struct Away(Mutex<State>);

#[derive(Debug)]
struct State {
    lanes: HashMap<LaneKey, Vec<Left>>,
    swept: Instant,
}

#[derive(Debug)]
struct Left {
    message: MessageKey,
    since: Instant,
}

impl Default for Away {
    fn default() -> Self {
        Self(Mutex::new(State { lanes: HashMap::new(), swept: Instant::now() }))
    }
}

impl Away {
    /// The message goes, for the first time or again.
    pub(crate) fn add(&self, lane: LaneKey, message: &MessageKey) {
        let (mut state, now) = (self.lock(), Instant::now());
        if now.duration_since(state.swept) > REMEMBERED {
            state.swept = now;
            state.lanes.retain(|_, left| {
                left.retain(|left| now.duration_since(left.since) < REMEMBERED);
                !left.is_empty()
            });
        }
        let left = state.lanes.entry(lane).or_default();
        if !left.iter().any(|left| left.message == *message) {
            left.push(Left { message: message.clone(), since: now });
        }
    }

    /// The message is at its end.
    pub(crate) fn remove(&self, lane: &LaneKey, message: &MessageKey) {
        let mut state = self.lock();
        if let Some(left) = state.lanes.get_mut(lane) {
            left.retain(|left| left.message != *message);
            if left.is_empty() {
                state.lanes.remove(lane);
            }
        }
    }

    /// Whether one that came before the message left less than this long ago.
    pub(crate) fn any_before(&self, lane: &LaneKey, message: &MessageKey, within: Duration) -> bool {
        let state = self.lock();
        let left = state.lanes.get(lane).map(Vec::as_slice).unwrap_or_default();
        left.iter().take_while(|left| left.message != *message).any(|left| left.since.elapsed() < within)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message<'_> {
    /// [`Halt::Postponed`] while an earlier message of the user is away, for no longer than it would be waited for in the
    /// lane.
    pub(crate) fn stay_behind(&self) -> Result<(), Halt> {
        let (lane, patience) = (LaneKey::of_envelope(self.envelope), self.handler.timings.retry_total);
        if !self.handler.away.any_before(&lane, &self.envelope.key, patience) {
            return Ok(());
        }
        self.note_away();
        let error = "an earlier message of the user waits for its replies".to_owned();
        Err(Halt::Postponed { at_least: Duration::ZERO, error })
    }

    /// Notes that the message goes back to the queue before its end, so that the user's next ones stay behind it.
    pub(crate) fn note_away(&self) {
        self.handler.away.add(LaneKey::of_envelope(self.envelope), &self.envelope.key);
    }
}

#[cfg(test)]
mod tests;
