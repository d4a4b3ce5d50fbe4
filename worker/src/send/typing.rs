//! Shows the user that somebody types, while an answer takes long.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::window::Opening;
use kefu_program::config::TypingApi;
use kefu_runtime::{clock, in_words};

use super::pauses::Pauses;
use crate::attempt::Attempt;
use crate::metric;
use crate::outcome::Outcome;
use crate::wechat::WeChat;
use crate::wechat::failure::Failure;
use crate::wechat::token::AccessTokens;

/// How long the user waits for an answer before WeChat shows somebody typing.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// The wait before the worker shows typing again. WeChat shows typing for 15 s, and refuses a repetition before that
/// (45081).
const SHOWN_AGAIN: Duration = Duration::from_millis(15_200);

/// How long after a user's act WeChat still shows typing (45080).
const AFTER_THE_USER: Duration = Duration::from_secs(30);

/// Shows users that somebody types.
pub(crate) struct Typing {
    api: TypingApi,
    wechat: Arc<WeChat>,
    tokens: Arc<AccessTokens>,
    /// The accounts whose sends are paused.
    pauses: Arc<Pauses>,
}

impl Typing {
    pub(crate) fn new(api: TypingApi, wechat: Arc<WeChat>, tokens: Arc<AccessTokens>, pauses: Arc<Pauses>) -> Self {
        Self { api, wechat, tokens, pauses }
    }

    /// Waits without a slot for the answer of another program to `asking`, since a program that hangs must not delay
    /// messages for others. Meanwhile the lease is renewed, and once the wait takes longer than a second the user sees
    /// somebody typing. The typing neither delays the answer nor makes it fail. An interruption ends the wait.
    pub(crate) async fn wait_for_answer<T>(
        &self,
        attempt: &mut Attempt<'_>,
        asking: impl Future<Output = T>,
    ) -> Result<T, Outcome> {
        let (envelope, mut asking) = (attempt.envelope, pin!(asking));
        let shown = async {
            tokio::select! {
                biased;
                answer = &mut asking => answer,
                () = self.keep_typing(envelope) => asking.await,
            }
        };
        attempt.wait(shown).await
    }

    /// Shows typing until another repetition makes no sense.
    async fn keep_typing(&self, envelope: &Envelope) {
        let mut wait = SHOWN_AFTER;
        while self.may_type(envelope) {
            tokio::time::sleep(wait).await;
            // The check is repeated, since time has passed.
            if !self.may_type(envelope) || !self.show(envelope).await {
                return;
            }
            wait = SHOWN_AGAIN;
        }
    }

    /// Whether the user wrote or entered the session a moment ago. WeChat refuses typing for any other user.
    fn may_type(&self, envelope: &Envelope) -> bool {
        let age_ms = clock::now_ms().saturating_sub(envelope.received_at_ms);
        self.api != TypingApi::Off
            && Opening::of(&envelope.push).is_some()
            && Duration::from_millis(age_ms) < AFTER_THE_USER
            && self.pauses.of(&envelope.account).is_none()
    }

    /// Shows typing once, and returns whether a repetition makes sense.
    async fn show(&self, envelope: &Envelope) -> bool {
        let push = &envelope.push;
        let shown = match self.tokens.get(&envelope.account).await {
            Ok(token) => self.wechat.typing(&token, &push.from_user, push.business_id).await,
            Err(failure) => Err(failure),
        };
        let (outcome, again) = match &shown {
            Ok(()) => ("ok", true),
            Err(Failure::Refused(_)) => ("refused", false),
            Err(_) => ("failed", true),
        };
        metrics::counter!(metric::TYPING, "outcome" => outcome).increment(1);
        if let Err(error) = shown {
            tracing::debug!(error = in_words(&error), "the user is not shown that somebody types");
        }
        again
    }
}

#[cfg(test)]
mod tests;
