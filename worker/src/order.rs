//! The order of a user's messages: the key of their lane, the messages that wait behind the one in work, and the absent
//! messages. The user's later messages wait until an absent message has ended, although the lane is free.
//!
//! The store knows the absent messages, so the order outlives the worker. [`Behind`] knows the messages that are still
//! in the lane and have not started.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::{LEDGER_KEEPS_FOR, MessageKey};
use kefu_messages::session::UserKey;
use kefu_messages::window::Opening;
use kefu_queue::Delivery;
use kefu_store::{Place, StoreError};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::outage::StoreOutage;
use crate::outcome::{Interrupt, Outcome, RETRY_TOTAL};

/// The owner of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    /// A user of an account.
    User(UserKey),
    /// A body that is no envelope. All such bodies share one lane.
    Undecodable,
    /// An unreadable push. Each has a lane of its own, since its user is unknown, and it delays no other message.
    Unreadable(MessageKey),
}

impl LaneKey {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        match &delivery.envelope {
            Ok(envelope) => Self::of_envelope(envelope),
            Err(_) => Self::Undecodable,
        }
    }

    pub(crate) fn of_envelope(envelope: &Envelope) -> Self {
        if envelope.unreadable.is_some() {
            return Self::Unreadable(envelope.key.clone());
        }
        Self::User(UserKey::of(envelope))
    }
}

/// The absent messages, as the store knows them.
pub(crate) struct Order {
    pub(crate) store: Arc<dyn kefu_store::Order>,
    outage: Arc<StoreOutage>,
}

impl Order {
    pub(crate) fn new(store: Arc<dyn kefu_store::Order>, outage: Arc<StoreOutage>) -> Self {
        Self { store, outage }
    }

    /// The message's place among the absent messages of its user.
    pub(crate) async fn place(&self, envelope: &Envelope) -> Result<Place, StoreError> {
        self.store.place(&UserKey::of(envelope), &envelope.key).await
    }

    /// Records that the message, on which work began at `begun`, returns to the queue before all of its replies are
    /// sent. Returns the outcome that counts then. The caller must do this before the settlement, since the next
    /// message may come right after the settlement, here or at another worker.
    pub(crate) async fn leave(
        &self,
        envelope: &Envelope,
        begun: Instant,
        interrupt: &Interrupt,
        outcome: Outcome,
    ) -> Outcome {
        let user = UserKey::of(envelope);
        let call = || self.store.leave(&user, &envelope.key, begun.elapsed(), LEDGER_KEEPS_FOR);
        self.outage.outlast(interrupt, call).await.err().unwrap_or(outcome)
    }

    /// Records that the message has ended, so that no other message waits for it.
    pub(crate) async fn end(&self, envelope: &Envelope, interrupt: &Interrupt) {
        let user = UserKey::of(envelope);
        // An interruption does no harm: the next messages wait for this message only until its time is over.
        let _ended = self.outage.outlast(interrupt, || self.store.end(&user, &envelope.key)).await;
    }
}

/// [`Outcome::Postpone`] while an earlier message of the user is absent, for [`RETRY_TOTAL`] at most, which is as long as
/// the user's next messages would wait for it in the lane. A welcome does not wait, since a welcome is useful only
/// within a minute.
pub(crate) fn stay_behind(place: &Place, envelope: &Envelope) -> Result<(), Outcome> {
    let is_welcome = Opening::of(&envelope.push) == Some(Opening::Enter);
    let waits = place.earlier_begun_ago.is_some_and(|ago| ago < RETRY_TOTAL);
    if is_welcome || !waits {
        return Ok(());
    }
    let error = "an earlier message of the user waits for its replies".to_owned();
    Err(Outcome::Postpone { at_least: Duration::ZERO, error })
}

/// How many of a lane's waiting messages opened the user's window when they arrived. WeChat knows of these openings
/// already, and the stored window does not.
#[derive(Debug, Default)]
pub(crate) struct Behind(Mutex<HashMap<LaneKey, usize>>);

impl Behind {
    /// Whether the delivery's message is an opening.
    pub(crate) fn opens(delivery: &Delivery) -> bool {
        delivery.envelope.as_ref().is_ok_and(|envelope| Opening::of(&envelope.push).is_some())
    }

    /// Counts a message that opens the window as waiting.
    pub(crate) fn add(&self, lane: &LaneKey) {
        *self.0.lock().entry(lane.clone()).or_default() += 1;
    }

    /// Ends the waiting of a message that opens the window.
    pub(crate) fn remove(&self, lane: &LaneKey) {
        let mut waiting = self.0.lock();
        if let Some(count) = waiting.get_mut(lane) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(lane);
            }
        }
    }

    /// Whether a message that opens the window is waiting.
    pub(crate) fn any(&self, lane: &LaneKey) -> bool {
        self.0.lock().contains_key(lane)
    }
}

#[cfg(test)]
mod tests;
