//! This machine's clock compared with other clocks.

use kefu_ingress::PUSH_REMEMBERED_FOR;
use kefu_runtime::clock::now_ms;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Finding;

/// The largest difference that networks and whole seconds explain.
const ODD_MS: u64 = 5_000;
/// With a larger difference, messages seem too old or too young to the reply window and to a webhook that checks
/// timestamps.
const WRONG_MS: u64 = 5 * 60_000;
const MEND: &str = "set this machine's clock by NTP (timedatectl set-ntp true, or chrony)";

/// Compares the clocks. `theirs_ms` was the time of `whose` at some moment in the last `took_ms` milliseconds.
pub(super) fn compare(check: &str, whose: &str, theirs_ms: u64, took_ms: u64) -> Finding {
    let ours_ms = now_ms();
    let (off_ms, which) = match ours_ms.checked_sub(theirs_ms) {
        Some(ahead) => (ahead.saturating_sub(took_ms), "ahead of"),
        None => (theirs_ms - ours_ms, "behind"),
    };
    let text = format!("this machine's clock is {} {which} that of {whose}", span(off_ms / 1_000));
    if off_ms <= ODD_MS {
        Finding::ok(check, format!("this machine's clock agrees with that of {whose}"))
    } else if off_ms <= WRONG_MS {
        Finding::warning(check, text, MEND)
    } else {
        Finding::failed(check, format!("{text}; {}", what_ingress_does(off_ms)), MEND)
    }
}

/// A number of seconds in the two largest units that it fills: `59 s`, `1 min 30 s`, `25 h` as `1 d 1 h`.
fn span(seconds: u64) -> String {
    let units = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = units.iter().position(|(number, _)| *number > 0).unwrap_or(units.len() - 1);
    let said = units[first..].iter().take(2).enumerate().filter(|(index, (number, _))| *index == 0 || *number > 0);
    said.map(|(_, (number, unit))| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

/// How ingress treats pushes with this clock, or would treat them with a clock that is further off.
fn what_ingress_does(off_ms: u64) -> String {
    const STALE: &str = "every push, and every check of the URL, as stale";
    if u128::from(off_ms) > PUSH_REMEMBERED_FOR.as_millis() {
        return format!("ingress on this machine refuses {STALE}");
    }
    let hours = PUSH_REMEMBERED_FOR.as_secs() / 3_600;
    format!("were it more than {hours} h off, ingress on this machine would refuse {STALE}")
}

/// How far another clock is ahead of this machine's clock, in milliseconds. `theirs_ms` was the other clock's time just
/// now.
pub(super) fn lead_ms(theirs_ms: u64) -> i64 {
    i64::try_from(theirs_ms).unwrap_or(i64::MAX).saturating_sub_unsigned(now_ms())
}

/// Whether the difference is too large for clocks that agree.
pub(super) fn is_odd(lead_ms: i64) -> bool {
    lead_ms.unsigned_abs() > ODD_MS
}

/// The time in an HTTP header `Date`, in milliseconds since the Unix epoch.
pub(super) fn ms_of(date: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(date, &Rfc2822).ok()?;
    u64::try_from(at.unix_timestamp()).ok().map(|seconds| seconds * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ingress_does_is_a_finding_only_beyond_a_day() {
        let day_ms = PUSH_REMEMBERED_FOR.as_millis() as u64;
        let stale = "every push, and every check of the URL, as stale";
        assert_eq!(what_ingress_does(day_ms + 1), format!("ingress on this machine refuses {stale}"));
        let if_worse = format!("were it more than 24 h off, ingress on this machine would refuse {stale}");
        assert_eq!(what_ingress_does(day_ms), if_worse);
    }

    #[test]
    fn how_far_off_a_clock_is_is_said_in_the_two_largest_units() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (3_600, "1 h"),
            (3_605, "1 h"),
            (25 * 3_600, "1 d 1 h"),
            (400 * 86_400 + 59, "400 d"),
        ] {
            assert_eq!(span(seconds), said);
        }
    }

    #[test]
    fn the_date_of_an_http_answer_is_read() {
        assert_eq!(ms_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(ms_of("yesterday"), None);
    }
}
