//! The waits of a step: between its tries, and for the end of its account's pause.

use std::fmt::Display;
use std::time::Duration;

use kefu_queue::DeadReason;
use tokio::time::Instant;

use super::Next;
use crate::handle::Message;
use crate::lease::Lease;
use crate::outcome::Halt;
use crate::send::pauses::{Begun, Cause, PauseLength, Pauses};
use crate::wechat::failure::{Failure, Refusal};
use crate::wechat::token::Renewal;

/// How often a message waits for the account's rate limit in its lane.
const MAX_SLOWED: u32 = 2;

/// How often an access_token of a step is refused before the account is paused, whatever was fetched in between.
const MAX_REFUSED: u32 = 4;

/// What became of the access_tokens that a step was tried with.
#[derive(Debug, Default)]
pub(crate) struct RefusedTokens {
    refused: u32,
    /// Whether one of those was replaced.
    renewed: bool,
}

impl Message<'_> {
    pub(super) async fn back_off(&mut self, hold: &Lease, failure: &Failure) -> Result<Next, Halt> {
        self.wait_after(hold, failure, Duration::ZERO).await.map(|()| Next::Again)
    }

    /// Waits for the next try after a failure that passes, for `at_least` this long. [`Halt::Later`] when that would be
    /// too long for the lane.
    pub(crate) async fn wait_after(
        &mut self,
        hold: &Lease,
        failure: &impl Display,
        at_least: Duration,
    ) -> Result<(), Halt> {
        let now = Instant::now();
        match self.backoff.next(now).filter(|_| at_least <= self.handler.timings.retry_longest) {
            Some(wait) => {
                tracing::debug!(error = %failure, ?wait, "trying again");
                self.pause(hold, wait.max(at_least)).await
            }
            None => Err(Halt::Later { at_least, error: failure.to_string(), in_the_end: DeadReason::Exhausted }),
        }
    }

    /// Waits for another access_token than the one that was refused. When that has not helped the account is paused, and the
    /// message postponed.
    pub(crate) async fn wait_for_token(
        &mut self,
        hold: &Lease,
        refusal: &Refusal,
        renewal: Option<Renewal>,
        tried: &mut RefusedTokens,
    ) -> Result<(), Halt> {
        tried.refused += 1;
        let wait = match renewal {
            Some(Renewal::TooSoon { left }) if tried.refused < MAX_REFUSED => Some(left),
            Some(Renewal::Another) if !tried.renewed => {
                tried.renewed = true;
                Some(self.handler.timings.token_refused)
            }
            _ => None,
        };
        if let Some(wait) = wait {
            return self.pause(hold, wait).await;
        }
        let why = format!(
            "{refusal}; so is one that was fetched a moment before: see that every program that fetches access_tokens of \
             the account uses stable_token, and that the AppSecret was not reset"
        );
        Err(self.pause_account(Cause::Operator, PauseLength::Growing, why))
    }

    pub(crate) async fn wait_while_paused(&mut self, hold: &Lease) -> Result<(), Halt> {
        self.wait_out(hold, &self.handler.pauses).await
    }

    /// Waits for the end of the account's pause among these; [`Halt::Postponed`] when that would be too long for the lane.
    pub(crate) async fn wait_out(&mut self, hold: &Lease, pauses: &Pauses) -> Result<(), Halt> {
        while let Some(pause) = pauses.of(&self.account.appid) {
            let remaining = pause.until.saturating_duration_since(Instant::now());
            let too_long = remaining > self.handler.timings.retry_total || self.slowed >= MAX_SLOWED;
            if pause.cause == Cause::Operator || too_long {
                return Err(Halt::Postponed {
                    at_least: remaining,
                    error: format!("{} pause: {}", pauses.what, pause.why),
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
    pub(crate) fn pause_account(&self, cause: Cause, length: PauseLength, error: String) -> Halt {
        self.begin_pause(&self.handler.pauses, cause, length, error)
    }

    /// As [`Message::pause_account`], for one kind of pauses.
    pub(crate) fn begin_pause(&self, pauses: &Pauses, cause: Cause, length: PauseLength, error: String) -> Halt {
        let (appid, what) = (&self.account.appid, pauses.what);
        let Begun { news, lasts } = pauses.begin(appid, cause, length, &error);
        match cause {
            _ if !news => {}
            Cause::Rate => tracing::warn!(account = appid, pause = ?lasts, error, "{what} pause"),
            Cause::Operator => tracing::error!(account = appid, pause = ?lasts, error, "{what} pause: act"),
        }
        Halt::Postponed { at_least: lasts, error }
    }

    /// Waits without a slot, with the lease kept, until an interruption.
    pub(crate) async fn pause(&mut self, hold: &Lease, wait: Duration) -> Result<(), Halt> {
        hold.during(self.interrupt.or(self.slot.leave_for(tokio::time::sleep(wait)))).await?
    }
}
