//! The user sees that somebody types, while an answer takes long.

use std::time::Duration;

use kefu_messages::window::Opening;
use kefu_program::config::TypingApi;
use kefu_runtime::clock;

use crate::handle::Message;
use crate::lease::Lease;
use crate::metric;
use crate::outcome::Halt;
use crate::wechat::failure::Failure;

/// WeChat takes it only this long after the user did something (45080).
const AFTER_THE_USER: Duration = Duration::from_secs(30);

impl Message<'_> {
    /// Waits for what another program answers to `asking`, without a slot: one that hangs must not hold up messages that are
    /// not for it. The lease is kept, the user sees somebody typing, and an interruption ends it.
    pub(crate) async fn wait_for_answer<T>(
        &mut self,
        hold: &Lease,
        asking: impl Future<Output = T>,
    ) -> Result<T, Halt> {
        self.slot.leave();
        let answer = self.while_typing(hold, asking).await?;
        hold.during(self.interrupt.or(self.slot.take_again())).await??;
        Ok(answer)
    }

    /// The user sees somebody typing once `work` takes longer than a second. Whatever becomes of the typing, neither is the
    /// work kept waiting nor does it fail by it.
    async fn while_typing<T>(&self, hold: &Lease, work: impl Future<Output = T>) -> Result<T, Halt> {
        let work = async {
            tokio::pin!(work);
            tokio::select! {
                biased;
                output = &mut work => output,
                () = self.keep_typing() => work.await,
            }
        };
        hold.during(self.interrupt.or(work)).await?
    }

    /// Ends when there is no sense in showing anything more.
    async fn keep_typing(&self) {
        let timings = &self.handler.timings;
        let mut wait = timings.typing_after;
        while self.may_type() {
            tokio::time::sleep(wait).await;
            // Again: time has passed.
            if !self.may_type() || !self.show_typing().await {
                return;
            }
            wait = timings.typing_again;
        }
    }

    /// Only to a user who wrote or entered the session a moment ago: WeChat refuses all else.
    fn may_type(&self) -> bool {
        let age_ms = clock::now_ms().saturating_sub(self.envelope.received_at_ms);
        self.handler.config.wechat.typing_api != TypingApi::Off
            && Opening::of(&self.envelope.push).is_some()
            && Duration::from_millis(age_ms) < AFTER_THE_USER
            && self.handler.pauses.of(&self.account.appid).is_none()
    }

    /// Whether it makes sense to do so again.
    async fn show_typing(&self) -> bool {
        let (handler, push) = (self.handler, &self.envelope.push);
        let shown = match handler.tokens.get(&self.account.appid).await {
            Ok(token) => handler.wechat.typing(&token, &push.from_user, push.business_id).await,
            Err(failure) => Err(failure),
        };
        let (outcome, again) = match &shown {
            Ok(()) => ("ok", true),
            Err(Failure::Refused(_)) => ("refused", false),
            Err(_) => ("failed", true),
        };
        metrics::counter!(metric::TYPING, "outcome" => outcome).increment(1);
        if let Err(error) = shown {
            tracing::debug!(%error, "the user is not shown that somebody types");
        }
        again
    }
}

#[cfg(test)]
mod tests;
