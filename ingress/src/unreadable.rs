//! Pushes that are WeChat's and cannot be read: which of them are kept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kefu_shared::config::{Account, Mode};
use kefu_shared::wechat::push::PushError;
use tokio::time::Instant;

use crate::refusal::Refusal;

/// In plain mode, the smallest body in bytes that is refused.
const TOO_LARGE: usize = 64 * 1024;

/// In plain mode, how many are kept within [`WITHIN`] for each account.
const MOST: usize = 60;

const WITHIN: Duration = Duration::from_secs(60);

/// Keeps count of the unreadable pushes in plain mode. There the signature does not cover the body: whoever has seen one
/// signed URL could fill the dead letters.
#[derive(Default)]
pub(crate) struct UnreadablePushes {
    /// When the last ones came, by appid.
    plain: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl UnreadablePushes {
    /// Whether the push is kept: `bytes` long, unreadable because of `error`, and authentic as far as the account's mode
    /// tells.
    pub(crate) fn admit(&self, account: &Account, bytes: usize, error: &PushError) -> Result<(), Refusal> {
        if account.mode == Mode::Plain {
            self.admit_plain(&account.appid, bytes, error, Instant::now())
        } else {
            Ok(())
        }
    }

    fn admit_plain(&self, appid: &str, bytes: usize, error: &PushError, now: Instant) -> Result<(), Refusal> {
        // Neither XML nor JSON by its first character: nothing that WeChat sends.
        if matches!(error, PushError::Empty | PushError::UnknownFormat) {
            return Err(Refusal::Malformed(error.clone()));
        }
        let refused = |why| Err(Refusal::UnreadableRefused { error: error.clone(), why });
        if bytes >= TOO_LARGE {
            return refused("in plain mode it is kept below 64 KiB only");
        }
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        // The accounts are those of the configuration, so there are few.
        let kept = plain.entry(appid.to_owned()).or_default();
        while kept.front().is_some_and(|at| now.duration_since(*at) >= WITHIN) {
            kept.pop_front();
        }
        if kept.len() >= MOST {
            return refused("in plain mode 60 a minute are kept for an account");
        }
        kept.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: PushError = PushError::Doctype;

    #[tokio::test(start_paused = true)]
    async fn an_account_has_sixty_in_any_minute() {
        let (pushes, begun) = (UnreadablePushes::default(), Instant::now());
        let admitted = |appid, ms| {
            let result = pushes.admit_plain(appid, 10, &CUT, begun + Duration::from_millis(ms));
            assert!(result.is_ok() || matches!(result, Err(Refusal::UnreadableRefused { .. })));
            result.is_ok()
        };
        assert!((0..60).all(|n| admitted("wx1", n * 100)));
        assert!(!admitted("wx1", 6_000) && !admitted("wx1", 59_999), "the 61st");
        assert!(admitted("wx2", 6_000), "another account");
        assert!(admitted("wx1", 60_000) && !admitted("wx1", 60_000), "the first of them is a minute ago");
        assert!(admitted("wx1", 60_100));
        assert!((0..58).all(|_| admitted("wx1", 70_000)) && !admitted("wx1", 70_000));
    }

    #[test]
    fn in_plain_mode_only_what_could_be_wechats_is_kept() {
        let pushes = UnreadablePushes::default();
        let admitted = |bytes, error| pushes.admit_plain("wx1", bytes, &error, Instant::now());
        assert_eq!(admitted(10, PushError::Empty), Err(Refusal::Malformed(PushError::Empty)));
        assert_eq!(admitted(10, PushError::UnknownFormat), Err(Refusal::Malformed(PushError::UnknownFormat)));
        assert_eq!(admitted(64 * 1024 - 1, CUT), Ok(()));
        assert!(matches!(admitted(64 * 1024, CUT), Err(Refusal::UnreadableRefused { .. })));
    }
}
