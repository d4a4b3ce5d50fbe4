//! Unreadable pushes: ingress chooses which of them kefu keeps.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use kefu_program::config::{Account, Mode};
use kefu_wechat::push::PushError;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::refusal::Refusal;

/// In plain mode, the smallest unreadable body, in KiB, that ingress refuses.
const TOO_LARGE_KIB: usize = 64;

/// In plain mode, how many unreadable pushes ingress keeps within a minute for each account.
pub const PLAIN_KEPT_PER_MINUTE: usize = 60;

const A_MINUTE: Duration = Duration::from_secs(60);

/// Counts the unreadable pushes in plain mode. There the signature does not cover the body, so that anybody who has
/// seen one signed URL could fill the dead letters.
#[derive(Default)]
pub(crate) struct UnreadablePushes {
    /// When the last unreadable pushes came, and a hash of each push, by appid.
    plain: Mutex<HashMap<String, VecDeque<(Instant, u64)>>>,
    hashes: RandomState,
}

impl UnreadablePushes {
    /// Whether ingress keeps the push of these bytes, which is unreadable because of `error` and authentic as far as
    /// the account's mode tells. A re-send counts as the same push.
    pub(crate) fn admit(&self, account: &Account, bytes: &[u8], error: &PushError) -> Result<(), Refusal> {
        if account.mode == Mode::Plain {
            self.admit_plain(&account.appid, bytes, error, Instant::now())
        } else {
            Ok(())
        }
    }

    fn admit_plain(&self, appid: &str, bytes: &[u8], error: &PushError, now: Instant) -> Result<(), Refusal> {
        // WeChat sends nothing that is neither XML nor JSON by its first character. An encrypted push belongs to
        // another mode than the account's: the fault notice and the log say so sooner than dead letters would.
        if matches!(error, PushError::Empty | PushError::UnknownFormat | PushError::Encrypted) {
            return Err(Refusal::Malformed(error.clone()));
        }
        let refused = |why| Err(Refusal::UnreadableRefused { error: error.clone(), why });
        if bytes.len() >= TOO_LARGE_KIB * 1_024 {
            return refused(format!("in plain mode kefu keeps an unreadable push only below {TOO_LARGE_KIB} KiB"));
        }
        let mut plain = self.plain.lock();
        // Only accounts of the configuration have an entry here, so the entries are few.
        let kept = plain.entry(appid.to_owned()).or_default();
        while kept.front().is_some_and(|(at, _)| now.duration_since(*at) >= A_MINUTE) {
            kept.pop_front();
        }
        let hash = self.hashes.hash_one(bytes);
        if kept.iter().any(|(_, known)| *known == hash) {
            return Ok(());
        }
        if kept.len() >= PLAIN_KEPT_PER_MINUTE {
            return refused(format!(
                "in plain mode kefu keeps {PLAIN_KEPT_PER_MINUTE} unreadable pushes a minute for an account"
            ));
        }
        kept.push_back((now, hash));
        Ok(())
    }
}

/// Whether ingress keeps, as a dead letter, a push of these bytes, which ingress cannot read because of `error`.
///
/// # Errors
/// The reason in words why ingress refuses the push instead.
pub fn keeps_unreadable(account: &Account, bytes: &[u8], error: &PushError) -> Result<(), String> {
    UnreadablePushes::default().admit(account, bytes, error).map_err(|refusal| refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: PushError = PushError::Doctype;

    #[tokio::test(start_paused = true)]
    async fn an_account_has_sixty_in_any_minute() {
        let (pushes, begun) = (UnreadablePushes::default(), Instant::now());
        let mut number = 0;
        let mut admitted = |appid, ms| {
            number += 1;
            let body = format!("<xml>{number}");
            let result = pushes.admit_plain(appid, body.as_bytes(), &CUT, begun + Duration::from_millis(ms));
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

    #[tokio::test(start_paused = true)]
    async fn re_sends_of_what_is_kept_are_admitted_and_use_nothing_up() {
        let (pushes, now) = (UnreadablePushes::default(), Instant::now());
        let admitted = |body: u32| pushes.admit_plain("wx1", &body.to_be_bytes(), &CUT, now).is_ok();
        for body in 0..60 {
            assert!((0..3).all(|_| admitted(body)), "{body}");
        }
        assert!(!admitted(60) && (0..60).all(admitted));
    }

    #[test]
    fn in_plain_mode_only_what_could_be_wechats_is_kept() {
        let pushes = UnreadablePushes::default();
        let admitted = |bytes, error| pushes.admit_plain("wx1", "<".repeat(bytes).as_bytes(), &error, Instant::now());
        assert_eq!(admitted(10, PushError::Empty), Err(Refusal::Malformed(PushError::Empty)));
        assert_eq!(admitted(10, PushError::UnknownFormat), Err(Refusal::Malformed(PushError::UnknownFormat)));
        assert_eq!(admitted(10, PushError::Encrypted), Err(Refusal::Malformed(PushError::Encrypted)));
        assert_eq!(admitted(10, PushError::Array), Ok(()));
        assert_eq!(admitted(64 * 1024 - 1, CUT), Ok(()));
        assert!(matches!(admitted(64 * 1024, CUT), Err(Refusal::UnreadableRefused { .. })));
    }
}
