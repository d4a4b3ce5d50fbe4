//! The user's window: looked at before each send, and brought up to date by each.
//!
//! See [`kefu_shared::window`] for what is kept, and why it only ever saves calls that WeChat would refuse.

use std::time::Duration;

use kefu_shared::clock;
use kefu_shared::config;
use kefu_shared::envelope::Envelope;
use kefu_shared::queue::DeadReason;
use kefu_shared::session::SessionKey;
use kefu_shared::store::StoreError;
use kefu_shared::window::{Closed, Opening, Refused, Window};

use crate::halt::{Halt, Interrupt};
use crate::hold::Hold;
use crate::lanes::LaneKey;
use crate::message::{Handler, Message};
use crate::metric;
use crate::wechat::failure::Refusal;

/// How much longer than the window lasts it is remembered.
const KEPT_BEYOND: Duration = Duration::from_secs(3_600);

/// WeChat's errcode for a reply after the window's end; that for one too many is 45047.
const OUT_OF_TIME: i64 = 45_015;

impl Handler {
    /// Tells the store what the user did, also when nothing is to be sent to that: it counts for what is sent later. Gives
    /// what is known of the window then.
    pub(crate) async fn open_window(&self, envelope: &Envelope) -> Result<Window, StoreError> {
        let (user, keep_for) = (key_of(envelope), self.keep_window_for());
        let known = match envelope.push.opens() {
            Some(opening) => {
                let (by, at_ms) = (&envelope.key, envelope.received_at_ms);
                self.windows.open(&user, opening, by, at_ms, keep_for).await
            }
            None => self.windows.get(&user).await,
        };
        match known {
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::warn!(%error, "what is known of the user's window is dropped");
                self.windows.forget(&user).await.map(|()| Window::default())
            }
            known => known,
        }
    }

    /// Forgets what is known when a message went to the human agents: while they have it, kefu is told neither what the
    /// user writes nor what they reply.
    pub(crate) async fn forget_window(&self, envelope: &Envelope, interrupt: &Interrupt) -> Result<(), Halt> {
        let user = key_of(envelope);
        self.outage.outlast(interrupt, || self.windows.forget(&user)).await
    }

    fn keep_window_for(&self) -> Duration {
        let limits = &self.config.window;
        lasts(limits, Opening::Message).max(lasts(limits, Opening::Enter)) + KEPT_BEYOND
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
        let age = Duration::from_millis(now_ms.saturating_sub(received_at_ms));
        let opening = self.envelope.push.opens().unwrap_or(Opening::Message);
        let is_late = age > lasts(limits, opening);
        if is_late && !self.window.has_message_after(&self.envelope.key, received_at_ms) {
            return Some(Closed::late(opening, age.as_secs(), limits));
        }
        // What waits behind this message has opened the window anew at WeChat: let it decide.
        let waits_behind = || self.handler.behind.any(&LaneKey::of_envelope(self.envelope));
        self.window.closed(limits, now_ms).filter(|_| !waits_behind())
    }

    /// Records a step that was sent, and counts it.
    pub(crate) async fn record_sent(&mut self, hold: &Hold, step: u32) -> Result<(), Halt> {
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
    pub(crate) async fn record_refusal(&mut self, refusal: &Refusal) {
        metrics::counter!(metric::CLOSED_WINDOWS, "found_by" => "wechat").increment(1);
        let refused = if refusal.errcode == OUT_OF_TIME { Refused::OutOfTime } else { Refused::OutOfCount };
        let (user, keep_for, now_ms) = (key_of(self.envelope), self.handler.keep_window_for(), clock::now_ms());
        let refuse = self.handler.windows.refuse(&user, &self.window, refused, now_ms, keep_for);
        if let Err(error) = refuse.await {
            tracing::debug!(%error, "the refusal is not recorded");
        }
    }
}

fn key_of(envelope: &Envelope) -> SessionKey {
    SessionKey::of(&envelope.account, &envelope.push)
}

fn lasts(limits: &config::Window, opening: Opening) -> Duration {
    Duration::from_secs(limits.seconds(opening))
}

#[cfg(test)]
mod tests;
