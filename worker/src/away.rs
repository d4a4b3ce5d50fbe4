//! Messages that are in the queue again and have not ended: the user's next ones, which have the lane now, wait for them
//! all the same.
//!
//! What is still in the lane, and has not had its turn, is in [`crate::behind`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kefu_shared::message_key::MessageKey;
use kefu_shared::window::Opening;
use tokio::time::Instant;

use crate::halt::Halt;
use crate::lanes::LaneKey;
use crate::message::Message;

/// How long a message is remembered that does not come back: longer than the longest wait in the queue, or it would be waited
/// for anew each time that it goes there.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);

/// The messages that are away, each user's in the order that they came in. Those of this process: another one that gets the
/// partition does not know of them, and their order is given up.
#[derive(Debug)]
pub(crate) struct Away(Mutex<State>);

#[derive(Debug)]
struct State {
    lanes: HashMap<LaneKey, Vec<Absent>>,
    swept: Instant,
}

#[derive(Debug)]
struct Absent {
    message: MessageKey,
    /// When it was first begun with.
    begun: Instant,
    /// When it last went.
    left: Instant,
}

impl Default for Away {
    fn default() -> Self {
        Self(Mutex::new(State { lanes: HashMap::new(), swept: Instant::now() }))
    }
}

impl Away {
    /// The message, which was begun with then, goes back to the queue: for the first time or again.
    pub(crate) fn add(&self, lane: LaneKey, message: &MessageKey, begun: Instant) {
        let (mut state, now) = (self.lock(), Instant::now());
        if now.duration_since(state.swept) > REMEMBERED {
            state.swept = now;
            state.lanes.retain(|_, absent| {
                absent.retain(|absent| now.duration_since(absent.left) < REMEMBERED);
                !absent.is_empty()
            });
        }
        let absent = state.lanes.entry(lane).or_default();
        match absent.iter_mut().find(|absent| absent.message == *message) {
            Some(known) => known.left = now,
            None => absent.push(Absent { message: message.clone(), begun, left: now }),
        }
    }

    /// The message is at its end.
    pub(crate) fn remove(&self, lane: &LaneKey, message: &MessageKey) {
        let mut state = self.lock();
        if let Some(absent) = state.lanes.get_mut(lane) {
            absent.retain(|absent| absent.message != *message);
            if absent.is_empty() {
                state.lanes.remove(lane);
            }
        }
    }

    /// Whether one that came before the message is away, and was first begun with less than this long ago.
    pub(crate) fn any_before(&self, lane: &LaneKey, message: &MessageKey, within: Duration) -> bool {
        let state = self.lock();
        let absent = state.lanes.get(lane).map(Vec::as_slice).unwrap_or_default();
        absent.iter().take_while(|absent| absent.message != *message).any(|absent| absent.begun.elapsed() < within)
    }

    /// Whether the message was away before.
    pub(crate) fn knows(&self, lane: &LaneKey, message: &MessageKey) -> bool {
        self.lock().lanes.get(lane).is_some_and(|absent| absent.iter().any(|absent| absent.message == *message))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message<'_> {
    /// [`Halt::Postponed`] while an earlier message of the user is away, for no longer than it would be waited for in the
    /// lane. A welcome does not stay behind: it is worth something for a minute only.
    pub(crate) fn stay_behind(&self) -> Result<(), Halt> {
        let (lane, patience) = (LaneKey::of_envelope(self.envelope), self.handler.timings.retry_total);
        let is_welcome = self.envelope.push.opens() == Some(Opening::Enter);
        if is_welcome || !self.handler.away.any_before(&lane, &self.envelope.key, patience) {
            return Ok(());
        }
        let error = "an earlier message of the user waits for its replies".to_owned();
        Err(Halt::Postponed { at_least: Duration::ZERO, error })
    }

    /// Notes that the message goes back to the queue before all of its replies are sent.
    pub(crate) fn note_away(&self) {
        self.handler.away.add(LaneKey::of_envelope(self.envelope), &self.envelope.key, self.begun);
    }

    /// Whether it has gone back to the queue before, as far as this process knows.
    pub(crate) fn was_away(&self) -> bool {
        self.handler.away.knows(&LaneKey::of_envelope(self.envelope), &self.envelope.key)
    }
}

#[cfg(test)]
mod tests;
