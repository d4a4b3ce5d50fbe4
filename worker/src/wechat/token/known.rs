//! The facts that this process knows about an account's access_token.

use std::time::Duration;

use kefu_store::StoredToken;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::LOCAL_FOR;
use crate::wechat::LONGEST_TOKEN_LIFE;

/// How long before its expiry a token is replaced. WeChat then gives a new token and accepts both.
const EARLY: Duration = Duration::from_secs(300);

/// The most by which a process delays the replacement, so that the processes do not all try at once.
const EARLY_JITTER: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Known(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    dropped_at: Option<Instant>,
}

#[derive(Debug)]
struct Token {
    value: SecretString,
    seen_at: Instant,
    expires_at: Instant,
    refresh_at: Instant,
}

/// The fate of an access_token that WeChat refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedToken {
    /// This process drops the token, from the store too.
    Dropped,
    /// This process had dropped or replaced the token already.
    Replaced,
    /// The token was fetched so recently that the worker keeps it for now.
    StillUsed {
        /// How much longer the worker keeps the token.
        left: Duration,
    },
}

impl Known {
    /// The token, if the store had it within [`LOCAL_FOR`].
    pub(super) fn fresh(&self) -> Option<SecretString> {
        self.token(|token, now| now < token.seen_at + LOCAL_FOR && now < token.expires_at)
    }

    /// The token, however long ago this process saw it.
    pub(super) fn unexpired(&self) -> Option<SecretString> {
        self.token(|token, now| now < token.expires_at)
    }

    /// Takes over a token that the store or WeChat gave.
    pub(super) fn learn(&self, stored: &StoredToken) {
        let now = Instant::now();
        // The store, too, may hold a senseless lifetime, and one that long would not even fit into an `Instant`.
        let expires_in = stored.expires_in.min(LONGEST_TOKEN_LIFE);
        let mut state = self.0.lock();
        // A token with a life shorter than EARLY is replaced at half its life. Otherwise each look at the token would
        // start another fetch.
        let early = EARLY - rand::random_range(Duration::ZERO..=EARLY_JITTER);
        let refresh_in = expires_in.saturating_sub(early).max(expires_in / 2);
        let refresh_at = match &state.token {
            Some(token) if same(&token.value, &stored.value) => token.refresh_at,
            _ => now + refresh_in,
        };
        let expires_at = now + expires_in;
        state.token = Some(Token { value: stored.value.clone(), seen_at: now, expires_at, refresh_at });
    }

    /// Whether the token should be replaced. After one yes the answer is no for `gap`, or for half of the remaining
    /// time if longer.
    pub(super) fn due(&self, gap: Duration) -> bool {
        let now = Instant::now();
        match &mut self.0.lock().token {
            Some(token) if token.refresh_at <= now => {
                token.refresh_at = now + (token.expires_at.saturating_duration_since(now) / 2).max(gap);
                true
            }
            _ => false,
        }
    }

    /// Forgets a token that WeChat refused, unless the previous drop is less than `gap` ago.
    pub(super) fn forget(&self, refused: &SecretString, gap: Duration) -> RefusedToken {
        let now = Instant::now();
        let mut state = self.0.lock();
        let left = state.dropped_at.map_or(Duration::ZERO, |at| (at + gap).saturating_duration_since(now));
        match &state.token {
            Some(token) if !same(&token.value, refused) => RefusedToken::Replaced,
            Some(_) if !left.is_zero() => RefusedToken::StillUsed { left },
            None if !left.is_zero() => RefusedToken::Replaced,
            _ => {
                state.dropped_at = Some(now);
                state.token = None;
                RefusedToken::Dropped
            }
        }
    }

    fn token(&self, good: impl FnOnce(&Token, Instant) -> bool) -> Option<SecretString> {
        let now = Instant::now();
        self.0.lock().token.as_ref().filter(|token| good(token, now)).map(|token| token.value.clone())
    }
}

pub(super) fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_whose_life_has_no_sensible_end_is_believed_for_two_hours() {
        let known = Known::default();
        known.learn(&StoredToken { value: "T".into(), expires_in: Duration::MAX });
        tokio::time::advance(LONGEST_TOKEN_LIFE - Duration::from_secs(1)).await;
        assert!(known.unexpired().is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(known.unexpired().is_none());
    }
}
