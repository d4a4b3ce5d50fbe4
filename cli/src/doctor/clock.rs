//! This machine's clock beside others'.

use kefu_ingress::PUSH_REMEMBERED_FOR;
use kefu_shared::clock::now_ms;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Finding;

/// More than networks and whole seconds explain.
const ODD_MS: u64 = 5_000;
/// So far off, messages seem too old or too young: to the reply window, to a webhook that checks timestamps.
const WRONG_MS: u64 = 5 * 60_000;
const MEND: &str = "have this machine's clock set by NTP (timedatectl set-ntp true, or chrony)";

/// `theirs_ms` was the time of `whose` at some time in the last `took_ms` milliseconds.
pub(super) fn compare(check: &str, whose: &str, theirs_ms: u64, took_ms: u64) -> Finding {
    let ours_ms = now_ms();
    let (off_ms, which) = match ours_ms.checked_sub(theirs_ms) {
        Some(ahead) => (ahead.saturating_sub(took_ms), "ahead of"),
        None => (theirs_ms - ours_ms, "behind"),
    };
    let text = format!("this machine's clock is {} s {which} that of {whose}", off_ms / 1_000);
    if off_ms <= ODD_MS {
        Finding::ok(check, format!("as that of {whose}"))
    } else if off_ms <= WRONG_MS {
        Finding::warning(check, text, MEND)
    } else {
        Finding::failed(check, format!("{text}; {}", what_ingress_does(off_ms)), MEND)
    }
}

/// What ingress does with this clock, or would do with one that is further off.
fn what_ingress_does(off_ms: u64) -> String {
    const STALE: &str = "every push, and every check of the URL, as stale";
    if u128::from(off_ms) > PUSH_REMEMBERED_FOR.as_millis() {
        return format!("ingress on this machine refuses {STALE}");
    }
    let hours = PUSH_REMEMBERED_FOR.as_secs() / 3_600;
    format!("were it more than {hours} h off, ingress on this machine would refuse {STALE}")
}

/// Milliseconds since the Unix epoch, of an HTTP header `Date`.
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
    fn the_date_of_an_http_answer_is_read() {
        assert_eq!(ms_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(ms_of("yesterday"), None);
    }
}
