//! The user's window: looked at before each send, and brought up to date by each.
//!
//! See [`kefu_messages::window`] for what is kept, and why it only ever saves calls that WeChat would refuse.

use std::time::Duration;

use kefu_messages::envelope::{Answered, Envelope};
use kefu_messages::session::SessionKey;
use kefu_messages::window::{Closed, Opening, Refused, Window};
use kefu_queue::DeadReason;
use kefu_runtime::clock;
use kefu_store::StoreError;

use crate::handle::{Handler, Message};
use crate::lanes::LaneKey;
use crate::lease::Lease;
use crate::metric;
use crate::outcome::{Halt, Interrupt};

/// How much longer than the window lasts it is remembered.
const KEPT_BEYOND: Duration = Duration::from_secs(3_600);

impl Handler {
    /// Tells the store what the user did, also when nothing is to be sent to that: it counts for what is sent later. Gives
    /// what is known of the window then.
    pub(crate) async fn open_window(&self, envelope: &Envelope) -> Result<Window, StoreError> {
        match self.open_known_window(envelope).await {
            Err(error) => {
                self.forget_unreadable(envelope, error).await?;
                self.open_known_window(envelope).await
            }
            known => known,
        }
    }

    async fn open_known_window(&self, envelope: &Envelope) -> Result<Window, StoreError> {
        let (user, keep_for) = (key_of(envelope), self.keep_window_for());
        match Opening::of(&envelope.push) {
            Some(opening) => {
                let (by, at_ms) = (&envelope.key, envelope.received_at_ms);
                self.windows.open(&user, opening, by, at_ms, keep_for).await
            }
            None => self.windows.get(&user).await,
        }
    }

    /// Tells the store what a message means for the window that ingress has answered.
    pub(crate) async fn note_answered(
        &self,
        envelope: &Envelope,
        answered: Answered,
        interrupt: &Interrupt,
    ) -> Result<(), Halt> {
        if Opening::of(&envelope.push).is_none() {
            return Ok(());
        }
        if answered == Answered::Webhook {
            return self.outage.outlast(interrupt, || self.open_window(envelope)).await.map(drop);
        }
        self.outage.outlast(interrupt, || self.transfer_window(envelope)).await
    }

    /// While the human agents have the user, what is written to them is not pushed. Pushes that come meanwhile do not mean
    /// that the user is back: until an agent takes the session, all that the user writes is pushed. So nothing is known for
    /// as long as what was written to them counts.
    async fn transfer_window(&self, envelope: &Envelope) -> Result<(), StoreError> {
        let (user, keep_for) = (key_of(envelope), self.keep_window_for());
        let unknown_for_ms = self.config.window.tried_for_ms(Opening::Message);
        let until_ms = envelope.received_at_ms.saturating_add(unknown_for_ms);
        match self.windows.transfer(&user, until_ms, keep_for).await {
            Err(error) => {
                self.forget_unreadable(envelope, error).await?;
                self.windows.transfer(&user, until_ms, keep_for).await
            }
            told => told,
        }
    }

    /// Forgets what cannot be read; other errors come back.
    async fn forget_unreadable(&self, envelope: &Envelope, error: StoreError) -> Result<(), StoreError> {
        match error {
            StoreError::Corrupt(_) => {
                tracing::warn!(%error, "what is known of the user's window is dropped");
                self.windows.forget(&key_of(envelope)).await
            }
            other => Err(other),
        }
    }

    fn keep_window_for(&self) -> Duration {
        let limits = &self.config.window;
        let longest_ms = limits.tried_for_ms(Opening::Message).max(limits.tried_for_ms(Opening::Enter));
        Duration::from_millis(longest_ms) + KEPT_BEYOND
    }
}

impl Message<'_> {
    /// Ends the work on a message that WeChat would take no reply to, as far as is known.
    pub(crate) fn check_window(&self) -> Result<(), Halt> {
        match self.closed() {
            None => Ok(()),
            Some(closed) => {
                metrics::counter!(metric::CLOSED_WINDOWS, "found_by" => "kefu").increment(1);
                Err(Halt::dead(DeadReason::WindowClosed, format!("not sent: {closed}")))
            }
        }
    }

    fn closed(&self) -> Option<Closed> {
        let (limits, received_at_ms) = (&self.handler.config.window, self.envelope.received_at_ms);
        let now_ms = clock::now_ms();
        let age_ms = now_ms.saturating_sub(received_at_ms);
        let opening = Opening::of(&self.envelope.push).unwrap_or(Opening::Message);
        let is_late = age_ms > limits.tried_for_ms(opening);
        // A welcome that comes late is none, whatever the human agents are told meanwhile.
        let wrote_unseen = opening == Opening::Message && self.window.is_unknown_at(received_at_ms);
        if is_late && !wrote_unseen && !self.window.has_message_after(&self.envelope.key, received_at_ms) {
            return Some(Closed::late(opening, age_ms / 1_000, limits));
        }
        self.window.closed(limits, now_ms).filter(|_| !self.is_opened_behind())
    }

    /// How many replies WeChat still takes, as far as is known.
    pub(crate) fn left_in_window(&self) -> Option<u32> {
        self.window.left(&self.handler.config.window).filter(|_| !self.is_opened_behind())
    }

    /// Whether what waits behind this message has opened the window anew at WeChat: let it decide.
    fn is_opened_behind(&self) -> bool {
        self.handler.behind.any(&LaneKey::of_envelope(self.envelope))
    }

    /// Records a step that was sent, and counts it.
    pub(crate) async fn record_sent(&mut self, hold: &Lease, step: u32) -> Result<(), Halt> {
        if !self.window.has_opening() {
            return hold.sent(step).await;
        }
        let (seen, by) = (self.window.clone(), &self.envelope.key);
        let (user, keep_for) = (key_of(self.envelope), self.handler.keep_window_for());
        let counting = self.handler.windows.count(&user, &seen, by, step, keep_for);
        let (recorded, counted) = tokio::join!(hold.sent(step), counting);
        if let Err(error) = counted {
            tracing::debug!(%error, "a reply is not counted");
        }
        self.window.count(&seen, by, step);
        recorded
    }

    /// Records that WeChat refused a reply for the window.
    pub(crate) async fn record_refusal(&mut self, refused: Refused) {
        metrics::counter!(metric::CLOSED_WINDOWS, "found_by" => "wechat").increment(1);
        if !self.window.has_opening() {
            return;
        }
        let (user, keep_for) = (key_of(self.envelope), self.handler.keep_window_for());
        let refuse = self.handler.windows.refuse(&user, &self.window, refused, keep_for);
        if let Err(error) = refuse.await {
            tracing::debug!(%error, "the refusal is not recorded");
        }
    }
}

fn key_of(envelope: &Envelope) -> SessionKey {
    SessionKey::of(&envelope.account, &envelope.push)
}

#[cfg(test)]
mod tests;
