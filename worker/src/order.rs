//! A user's order while an earlier message is in the queue again. The user's later messages wait until the earlier one has
//! ended, though the lane is free.
//!
//! The store knows which messages left their lane, so that the order outlives the worker. A message that is still in the
//! lane, and has not had its turn, is in [`Behind`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::UserKey;
use kefu_messages::window::Opening;
use kefu_queue::Delivery;
use tokio::time::Instant;

use crate::handle::{Handler, Message};
use crate::lanes::LaneKey;
use crate::outcome::{Halt, Interrupt};

impl Message<'_> {
    /// [`Halt::Postponed`] while an earlier message of the user is in the queue again, for no longer than it would be waited
    /// for in the lane. A welcome does not stay behind: it is worth something for a minute only.
    pub(crate) fn stay_behind(&self) -> Result<(), Halt> {
        let patience = self.handler.timings.retry_total;
        let is_welcome = Opening::of(&self.envelope.push) == Some(Opening::Enter);
        let waits = self.place.earlier_begun_ago.is_some_and(|ago| ago < patience);
        if is_welcome || !waits {
            return Ok(());
        }
        let error = "an earlier message of the user waits for its replies".to_owned();
        Err(Halt::Postponed { at_least: Duration::ZERO, error })
    }

    /// Notes that the message has ended, if others may wait for it.
    pub(crate) async fn end_absence(&self) {
        if self.place.has_left {
            let key = &self.envelope.key;
            self.handler.end_absence(&UserKey::of(self.envelope), key, &self.interrupt).await;
        }
    }
}

impl Handler {
    /// Notes that the message, on which work began at `begun`, goes back to the queue before all of its replies are sent. To
    /// be called before the settlement: from then on the next message may come, here or at another worker.
    pub(crate) async fn leave_lane(
        &self,
        envelope: &Envelope,
        begun: Instant,
        interrupt: &Interrupt,
    ) -> Result<(), Halt> {
        let user = UserKey::of(envelope);
        let call = || self.order.leave(&user, &envelope.key, begun.elapsed(), self.timings.keep_for);
        self.outage.outlast(interrupt, call).await
    }

    /// As [`Handler::leave_lane`], for a delivery whose work ends with `halt`; gives the halt that counts then.
    pub(crate) async fn leave_lane_as(&self, delivery: &Delivery, begun: Instant, halt: Halt) -> Halt {
        let Ok(envelope) = &delivery.envelope else { return halt };
        let interrupt = Interrupt::new(&self.shutdown, &delivery.session);
        self.leave_lane(envelope, begun, &interrupt).await.err().unwrap_or(halt)
    }

    /// Notes that a message is a dead letter, and no other waits for it.
    pub(crate) async fn end_absence_of_dead(&self, delivery: &Delivery) {
        if let Ok(envelope @ Envelope { unreadable: None, .. }) = &delivery.envelope {
            let interrupt = Interrupt::new(&self.shutdown, &delivery.session);
            self.end_absence(&UserKey::of(envelope), &envelope.key, &interrupt).await;
        }
    }

    async fn end_absence(&self, user: &UserKey, key: &MessageKey, interrupt: &Interrupt) {
        // An interruption is no harm: the next messages wait for it until its time is over.
        let _ended = self.outage.outlast(interrupt, || self.order.end(user, key)).await;
    }
}

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

#[cfg(test)]
mod tests;
