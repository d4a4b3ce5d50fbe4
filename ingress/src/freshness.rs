//! Whether the timestamp of a rightly signed request is current: anybody who has seen such a request could send it
//! again later.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long ingress remembers a push. WeChat re-sends some pushes for hours. Ingress refuses a push whose timestamp is
/// further from the clock than this, in either direction, because ingress could no longer recognize a copy of that
/// push.
pub const PUSH_REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest time between two warnings about wrong timestamps.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Why a timestamp is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The timestamp is no decimal number.
    NotANumber,
    /// The timestamp lies so many seconds before this machine's time.
    Behind(u64),
    /// The timestamp lies so many seconds after this machine's time.
    Ahead(u64),
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => f.write_str("is not a number of seconds"),
            Self::Behind(seconds) => write!(f, "is {} h behind this machine's clock", seconds / 3_600),
            Self::Ahead(seconds) => write!(f, "is {} h ahead of this machine's clock", seconds / 3_600),
        }
    }
}

/// Refuses a `timestamp` (seconds since the Unix epoch) that differs from `now_ms` by more than
/// [`PUSH_REMEMBERED_FOR`]: after that time ingress no longer recognizes a copy of a push. WeChat does not document
/// whether its re-sends keep the first timestamp; no re-send comes that late.
///
/// Call this function only once the signature is known to be right: a stranger's timestamp says nothing about the
/// clock.
pub(crate) fn check(timestamp: &str, now_ms: u64) -> Result<(), Stale> {
    // `parse` also accepts a sign.
    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let Some(signed_at) = timestamp.parse::<u64>().ok().filter(|_| digits) else {
        return Err(Stale::NotANumber);
    };
    let now = now_ms / 1_000;
    if now.abs_diff(signed_at) <= PUSH_REMEMBERED_FOR.as_secs() {
        return Ok(());
    }
    Err(match now.checked_sub(signed_at) {
        Some(behind) => Stale::Behind(behind),
        None => Stale::Ahead(signed_at - now),
    })
}

/// Warns about stale requests, about each kind at most once a minute: when this machine's clock is wrong, all requests
/// are stale.
#[derive(Default)]
pub(crate) struct ClockWarning {
    /// Warnings about requests whose timestamp is a time.
    clock: Warnings,
    /// Warnings about the other requests, which say nothing about the clock.
    not_a_number: Warnings,
}

#[derive(Default)]
struct Warnings(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    /// When the last warning was logged.
    warned: Option<Instant>,
    /// How many requests ingress has refused since that warning.
    refused: u64,
}

impl ClockWarning {
    /// Notes the refusal of a stale request.
    pub(crate) fn note(&self, stale: Stale, account: &str) {
        let (warnings, advice) = match stale {
            Stale::NotANumber => {
                (&self.not_a_number, "WeChat sends no such request, so find out which other program has the Token")
            }
            Stale::Behind(_) | Stale::Ahead(_) => (
                &self.clock,
                "if ingress keeps refusing pushes, check the clock of this machine; otherwise somebody sends old \
                 requests again",
            ),
        };
        if let Some(refused) = warnings.due(Instant::now()) {
            tracing::warn!(
                account,
                refused,
                "a push or check of the URL has a right signature, but its timestamp {stale}: {advice}"
            );
        }
    }
}

impl Warnings {
    /// How many requests ingress has refused since the last warning, this request included. `None` while it is too
    /// early for another warning.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut noted = self.0.lock();
        noted.refused += 1;
        if noted.warned.is_some_and(|warned| now.duration_since(warned) < WARN_EVERY) {
            return None;
        }
        noted.warned = Some(now);
        Some(std::mem::take(&mut noted.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;
    const DAY: u64 = 24 * 60 * 60;

    fn checked(timestamp: impl ToString) -> Result<(), Stale> {
        check(&timestamp.to_string(), NOW * 1_000 + 999)
    }

    #[test]
    fn a_timestamp_may_be_as_far_from_the_clock_as_claims_remember_and_no_further() {
        for timestamp in [NOW, NOW - 1, NOW + 1, NOW - DAY, NOW + DAY] {
            assert_eq!(checked(timestamp), Ok(()), "{timestamp}");
        }
        assert_eq!(checked(NOW - DAY - 1), Err(Stale::Behind(DAY + 1)));
        assert_eq!(checked(NOW + DAY + 1), Err(Stale::Ahead(DAY + 1)));
        assert_eq!(checked(0), Err(Stale::Behind(NOW)));
        assert_eq!(checked(u64::MAX), Err(Stale::Ahead(u64::MAX - NOW)));
        assert_eq!(checked(format!("000{NOW}")), Ok(()));
    }

    #[test]
    fn only_decimal_digits_are_a_timestamp() {
        let numbers =
            ["", " ", "soon", "1e9", "1700000000.0", "+1700000000", "-1700000000", "1700000000 ", "0x6553F100"];
        for timestamp in numbers.into_iter().chain(["１７０００００００００", "99999999999999999999"]) {
            assert_eq!(checked(timestamp), Err(Stale::NotANumber), "{timestamp}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_warned_of_once_a_minute_with_how_many_there_were() {
        let (warning, begun) = (Warnings::default(), Instant::now());
        assert_eq!(warning.due(begun), Some(1));
        for second in [0, 1, 30, 59] {
            assert_eq!(warning.due(begun + Duration::from_secs(second)), None);
        }
        assert_eq!(warning.due(begun + WARN_EVERY), Some(5));
        assert_eq!(warning.due(begun + WARN_EVERY), None);
        assert_eq!(warning.due(begun + 3 * WARN_EVERY), Some(2));
    }

    #[test]
    fn the_warning_says_how_far_and_which_way() {
        assert_eq!(Stale::Behind(7 * DAY + 59).to_string(), "is 168 h behind this machine's clock");
        assert_eq!(Stale::Ahead(DAY + 1).to_string(), "is 24 h ahead of this machine's clock");
    }
}
