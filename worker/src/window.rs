//! The user's window: looked at before each send, and brought up to date by each.
//!
//! See [`kefu_shared::window`] for what is kept, and why it only ever saves calls that WeChat would refuse.

use std::time::Duration;

use kefu_shared::clock;
use kefu_shared::config;
use kefu_shared::queue::DeadReason;
use kefu_shared::store::StoreError;
use kefu_shared::window::{Closed, Opening, Refused, Window, WindowKey};

use crate::halt::Halt;
use crate::hold::Hold;
use crate::lanes::LaneKey;
use crate::message::Message;
use crate::metric;
use crate::wechat::failure::Refusal;

/// How much longer than the window lasts it is remembered.
const KEPT_BEYOND: Duration = Duration::from_secs(3_600);

/// WeChat's errcode for a reply after the window's end; that for one too many is 45047.
const OUT_OF_TIME: i64 = 45_015;

impl Message<'_> {
    /// Tells the store what the user did, and gives what is known of the window then.
    pub(crate) async fn open_window(&self) -> Result<Window, Halt> {
        let (handler, envelope) = (self.handler, self.envelope);
        let (user, keep_for) = (self.window_key(), self.keep_window_for());
        let call = || async {
            let known = match envelope.push.opens() {
                Some(opening) => {
                    let (by, at_ms) = (&envelope.key, envelope.received_at_ms);
                    handler.windows.open(&user, opening, by, at_ms, keep_for).await
                }
                None => handler.windows.get(&user).await,
            };
            match known {
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::warn!(%error, "what is known of the user's window is dropped");
                    handler.windows.forget(&user).await.map(|()| Window::default())
                }
                known => known,
            }
        };
        handler.outage.outlast(&self.interrupt, call).await
    }

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
        let (user, keep_for) = (self.window_key(), self.keep_window_for());
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
        let (user, keep_for, now_ms) = (self.window_key(), self.keep_window_for(), clock::now_ms());
        let refuse = self.handler.windows.refuse(&user, &self.window, refused, now_ms, keep_for);
        if let Err(error) = refuse.await {
            tracing::debug!(%error, "the refusal is not recorded");
        }
    }

    fn window_key(&self) -> WindowKey {
        WindowKey::of(&self.account.appid, &self.envelope.push)
    }

    fn keep_window_for(&self) -> Duration {
        let limits = &self.handler.config.window;
        lasts(limits, Opening::Message).max(lasts(limits, Opening::Enter)) + KEPT_BEYOND
    }
}

fn lasts(limits: &config::Window, opening: Opening) -> Duration {
    Duration::from_secs(match opening {
        Opening::Message => limits.message_seconds,
        Opening::Enter => limits.enter_seconds,
    })
}

#[cfg(test)]
mod tests;
