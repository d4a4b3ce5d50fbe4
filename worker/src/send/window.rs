//! The user's window. The worker checks the window before each send, and each send updates it.
//!
//! See [`kefu_messages::window`] for the contents of a window, and why a window only ever saves calls that WeChat would
//! refuse.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::{Answered, Envelope};
use kefu_messages::session::SessionKey;
use kefu_messages::window::{Closed, Limits, Opening, Refused, Window};
use kefu_queue::DeadReason;
use kefu_runtime::clock;
use kefu_store::{StoreError, Windows};

use crate::attempt::Attempt;
use crate::metric;
use crate::order::{Behind, LaneKey};
use crate::outage::StoreOutage;
use crate::outcome::{Interrupt, Outcome};

/// How much longer the store remembers a window than the window lasts.
const KEPT_BEYOND: Duration = Duration::from_secs(3_600);

/// The windows of all users.
pub(crate) struct UserWindows {
    store: Arc<dyn Windows>,
    outage: Arc<StoreOutage>,
    limits: Limits,
    behind: Arc<Behind>,
}

impl UserWindows {
    pub(crate) fn new(store: Arc<dyn Windows>, outage: Arc<StoreOutage>, limits: Limits, behind: Arc<Behind>) -> Self {
        Self { store, outage, limits, behind }
    }

    /// Tells the store about the user's act, even when the message gets no reply, since the act counts for later sends.
    /// Returns the known part of the window after that.
    pub(crate) async fn open(&self, envelope: &Envelope) -> Result<Window, StoreError> {
        let (user, keep_for) = (key_of(envelope), self.keep_for());
        let (by, at_ms) = (&envelope.key, envelope.received_at_ms);
        let opened = || async {
            match Opening::of(&envelope.push) {
                Some(opening) => self.store.open(&user, opening, by, at_ms, keep_for).await,
                None => self.store.get(&user).await,
            }
        };
        self.or_anew(&user, opened).await
    }

    /// Tells the store how a message that ingress has answered changes the window.
    pub(crate) async fn note_answered(
        &self,
        envelope: &Envelope,
        answered: Answered,
        interrupt: &Interrupt,
    ) -> Result<(), Outcome> {
        if Opening::of(&envelope.push).is_none() {
            return Ok(());
        }
        if answered == Answered::Webhook {
            return self.outage.outlast(interrupt, || self.open(envelope)).await.map(drop);
        }
        self.outage.outlast(interrupt, || self.transfer(envelope)).await
    }

    /// While human agents have the session, WeChat does not push the messages that the user writes to them. A push in
    /// that time does not mean that the user is back: until an agent takes the session, WeChat pushes everything that
    /// the user writes. So the window is unknown for as long as the user's messages to the agents count.
    async fn transfer(&self, envelope: &Envelope) -> Result<(), StoreError> {
        let (user, keep_for) = (key_of(envelope), self.keep_for());
        let unknown_for_ms = self.limits.tried_for_ms(Opening::Message);
        let until_ms = envelope.received_at_ms.saturating_add(unknown_for_ms);
        self.or_anew(&user, || self.store.transfer(&user, until_ms, keep_for)).await
    }

    /// Makes a call of the store. If the stored window cannot be read, the store forgets the window and gets the same
    /// call again.
    async fn or_anew<T, F>(&self, user: &SessionKey, call: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match call().await {
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::warn!(%error, "the stored window of the user cannot be read and is dropped");
                self.store.forget(user).await?;
                call().await
            }
            result => result,
        }
    }

    /// Ends the attempt at a message to which WeChat would take no reply, as far as the worker knows.
    pub(crate) fn check(&self, attempt: &Attempt<'_>) -> Result<(), Outcome> {
        match self.closed(attempt) {
            None => Ok(()),
            Some(closed) => {
                metrics::counter!(metric::CLOSED_WINDOWS, "found_by" => "kefu").increment(1);
                Err(Outcome::dead(DeadReason::WindowClosed, format!("not sent: {closed}")))
            }
        }
    }

    fn closed(&self, attempt: &Attempt<'_>) -> Option<Closed> {
        let (limits, envelope, window) = (&self.limits, attempt.envelope, &attempt.window);
        let (received_at_ms, now_ms) = (envelope.received_at_ms, clock::now_ms());
        let age_ms = now_ms.saturating_sub(received_at_ms);
        let opening = Opening::of(&envelope.push).unwrap_or(Opening::Message);
        let is_late = age_ms > limits.tried_for_ms(opening);
        // A late welcome is no welcome, whatever the user writes to the human agents meanwhile.
        let wrote_unseen = opening == Opening::Message && window.is_unknown_at(received_at_ms);
        if is_late && !wrote_unseen && !window.has_message_after(&envelope.key, received_at_ms) {
            return Some(Closed::late(opening, age_ms / 1_000, limits));
        }
        window.closed(limits, now_ms).filter(|_| !self.is_opened_behind(envelope))
    }

    /// How many replies WeChat still takes, as far as the worker knows.
    pub(crate) fn left(&self, attempt: &Attempt<'_>) -> Option<u32> {
        attempt.window.left(&self.limits).filter(|_| !self.is_opened_behind(attempt.envelope))
    }

    /// Whether a message that waits behind this one has opened the window anew. If so, WeChat decides.
    fn is_opened_behind(&self, envelope: &Envelope) -> bool {
        self.behind.any(&LaneKey::of_envelope(envelope))
    }

    /// Records a sent step, as [`Lease::sent`](crate::lease::Lease::sent) does, and counts it in the window.
    pub(crate) async fn record_sent(
        &self,
        attempt: &mut Attempt<'_>,
        step: u32,
        ends_message: bool,
    ) -> Result<(), Outcome> {
        if !attempt.window.has_opening() {
            return attempt.lease.sent(step, ends_message).await;
        }
        let (seen, by) = (attempt.window.clone(), &attempt.envelope.key);
        let (user, keep_for) = (key_of(attempt.envelope), self.keep_for());
        let counting = self.store.count(&user, &seen, by, step, keep_for);
        let (recorded, counted) = tokio::join!(attempt.lease.sent(step, ends_message), counting);
        if let Err(error) = counted {
            tracing::debug!(%error, "a reply is not counted");
        }
        attempt.window.count(&seen, by, step);
        recorded
    }

    /// Records that WeChat refused a reply because of the window.
    pub(crate) async fn record_refusal(&self, attempt: &Attempt<'_>, refused: Refused) {
        metrics::counter!(metric::CLOSED_WINDOWS, "found_by" => "wechat").increment(1);
        if !attempt.window.has_opening() {
            return;
        }
        let user = key_of(attempt.envelope);
        let refuse = self.store.refuse(&user, &attempt.window, refused, self.keep_for());
        if let Err(error) = refuse.await {
            tracing::debug!(%error, "the refusal is not recorded");
        }
    }

    fn keep_for(&self) -> Duration {
        let limits = &self.limits;
        let longest_ms = limits.tried_for_ms(Opening::Message).max(limits.tried_for_ms(Opening::Enter));
        Duration::from_millis(longest_ms) + KEPT_BEYOND
    }
}

fn key_of(envelope: &Envelope) -> SessionKey {
    SessionKey::of(&envelope.account, &envelope.push)
}

#[cfg(test)]
mod tests;
