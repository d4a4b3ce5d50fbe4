//! The order of a user's messages: the key of their lane, the messages behind the one in work, and the messages that left
//! the lane for the queue. The user's later messages wait until an earlier one has ended, though the lane is free.
//!
//! The store knows which messages left their lane, so that the order outlives the worker. A message that is still in the
//! lane, and has not had its turn, is in [`Behind`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::UserKey;
use kefu_messages::window::Opening;
use kefu_queue::Delivery;
use kefu_store::{Place, StoreError};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::outage::StoreOutage;
use crate::outcome::{Interrupt, Outcome};

/// Whose lane it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    /// A user of an account.
    User(UserKey),
    /// Bodies that are no envelopes share a lane.
    Undecodable,
    /// Each push that could not be read has a lane of its own: its user is not known, and it holds nobody up.
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

/// The messages that left their lane and have not ended, as the store knows them.
pub(crate) struct Order {
    pub(crate) store: Arc<dyn kefu_store::Order>,
    outage: Arc<StoreOutage>,
    keep_for: Duration,
}

impl Order {
    /// `keep_for`: how long the store remembers a message that left its lane.
    pub(crate) fn new(store: Arc<dyn kefu_store::Order>, outage: Arc<StoreOutage>, keep_for: Duration) -> Self {
        Self { store, outage, keep_for }
    }

    /// Where the message stands among the absent messages of its user.
    pub(crate) async fn place(&self, envelope: &Envelope) -> Result<Place, StoreError> {
        self.store.place(&UserKey::of(envelope), &envelope.key).await
    }

    /// Notes that the message, on which work began at `begun`, goes back to the queue before all of its replies are sent, and
    /// gives the outcome that counts then. To be called before the settlement: from then on the next message may come, here
    /// or at another worker.
    pub(crate) async fn leave(
        &self,
        envelope: &Envelope,
        begun: Instant,
        interrupt: &Interrupt,
        outcome: Outcome,
    ) -> Outcome {
        let user = UserKey::of(envelope);
        let call = || self.store.leave(&user, &envelope.key, begun.elapsed(), self.keep_for);
        self.outage.outlast(interrupt, call).await.err().unwrap_or(outcome)
    }

    /// Notes that the message has ended, and no other message waits for it.
    pub(crate) async fn end(&self, envelope: &Envelope, interrupt: &Interrupt) {
        let user = UserKey::of(envelope);
        // An interruption does no harm: the next messages wait for this one until its time is over.
        let _ended = self.outage.outlast(interrupt, || self.store.end(&user, &envelope.key)).await;
    }
}

/// [`Outcome::Postpone`] while an earlier message of the user is in the queue again, for no longer than `patience`: as long
/// as the user's next messages would wait for it in the lane. A welcome does not stay behind: it is worth something for a
/// minute only.
pub(crate) fn stay_behind(place: &Place, envelope: &Envelope, patience: Duration) -> Result<(), Outcome> {
    let is_welcome = Opening::of(&envelope.push) == Some(Opening::Enter);
    let waits = place.earlier_begun_ago.is_some_and(|ago| ago < patience);
    if is_welcome || !waits {
        return Ok(());
    }
    let error = "an earlier message of the user waits for its replies".to_owned();
    Err(Outcome::Postpone { at_least: Duration::ZERO, error })
}

/// How many messages wait in a lane that opened the user's window anew when they came: WeChat knows of them already, the
/// record does not.
#[derive(Debug, Default)]
pub(crate) struct Behind(Mutex<HashMap<LaneKey, usize>>);

impl Behind {
    /// Whether the delivery's message opens a window.
    pub(crate) fn opens(delivery: &Delivery) -> bool {
        delivery.envelope.as_ref().is_ok_and(|envelope| Opening::of(&envelope.push).is_some())
    }

    /// A message that opens the window begins to wait.
    pub(crate) fn add(&self, lane: &LaneKey) {
        *self.lock().entry(lane.clone()).or_default() += 1;
    }

    /// A message that opens the window waits no longer.
    pub(crate) fn remove(&self, lane: &LaneKey) {
        let mut waiting = self.lock();
        if let Some(count) = waiting.get_mut(lane) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(lane);
            }
        }
    }

    /// Whether a message that opens the window is waiting.
    pub(crate) fn any(&self, lane: &LaneKey) -> bool {
        self.lock().contains_key(lane)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LaneKey, usize>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests;
