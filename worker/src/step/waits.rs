//! The waits of a step: between its tries, and for the end of its account's pause.

use std::time::Duration;

use tokio::time::Instant;

use super::Next;
use crate::halt::Halt;
use crate::hold::Hold;
use crate::message::Message;
use crate::pauses::{Begun, Cause, PauseLength};
use crate::wechat::failure::Failure;

/// How often a message waits for the account's rate limit in its lane.
const MAX_SLOWED: u32 = 2;

impl Message<'_> {
    pub(super) async fn back_off(&mut self, hold: &Hold, failure: &Failure) -> Result<Next, Halt> {
        match self.backoff.next(Instant::now()) {
            Some(wait) => {
                tracing::debug!(error = %failure, ?wait, "trying again");
                self.pause(hold, wait).await.map(|()| Next::Again)
            }
            None => Err(Halt::later(failure.to_string())),
        }
    }

    pub(super) async fn wait_while_paused(&mut self, hold: &Hold) -> Result<(), Halt> {
        while let Some(pause) = self.handler.pauses.of(&self.account.appid) {
            let remaining = pause.until.saturating_duration_since(Instant::now());
            let too_long = remaining > self.handler.timings.retry_total || self.slowed >= MAX_SLOWED;
            if pause.cause == Cause::Operator || too_long {
                return Err(Halt::Paused {
                    at_least: remaining,
                    error: format!("the account is paused: {}", pause.why),
                });
            }
            self.slowed += 1;
            // Spread out: all the account's lanes are waiting for the same moment.
            let jitter = rand::random_range(Duration::ZERO..=remaining / 4);
            self.pause(hold, remaining + jitter).await?;
        }
        Ok(())
    }

    /// Pauses the account, and returns what that means for the message if it does not wait in its lane.
    pub(super) fn pause_account(&self, cause: Cause, length: PauseLength, error: String) -> Halt {
        let appid = &self.account.appid;
        let Begun { news, lasts } = self.handler.pauses.begin(appid, cause, length, &error);
        match cause {
            _ if !news => {}
            Cause::Rate => tracing::warn!(account = appid, pause = ?lasts, error, "the account's sends pause"),
            Cause::Operator => {
                tracing::error!(account = appid, pause = ?lasts, error, "the account's sends pause: act")
            }
        }
        Halt::Paused { at_least: lasts, error }
    }

    /// Waits without a slot, with the lease kept, until an interruption.
    pub(super) async fn pause(&mut self, hold: &Hold, wait: Duration) -> Result<(), Halt> {
        let wait = hold.during(self.interrupt.or(tokio::time::sleep(wait)));
        self.slot.leave_for(wait).await?
    }
}
