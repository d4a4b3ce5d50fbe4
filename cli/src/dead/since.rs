//! The value of `--since`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The time that the text names, in milliseconds since the Unix epoch.
pub(super) fn ms(text: &str, now_ms: u64) -> Result<u64, String> {
    let wrong = || "write 45s, 30m, 2h or 1d, or a time like 2026-11-22T12:00:00Z".to_owned();
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        let ms = at.unix_timestamp_nanos() / 1_000_000;
        return u64::try_from(ms).map_err(|_| "this time is before 1970".to_owned());
    }
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let unit_ms = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).map(|ago_ms| now_ms.saturating_sub(ago_ms)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_so_long_ago_or_a_time() {
        let now_ms = 1_700_000_000_000;
        let cases = [
            ("45s", now_ms - 45_000),
            ("30m", now_ms - 1_800_000),
            ("2h", now_ms - 7_200_000),
            ("1d", now_ms - 86_400_000),
            ("1970-01-01T00:00:01Z", 1_000),
            ("1970-01-01T08:00:01.5+08:00", 1_500),
            ("99999999d", 0),
        ];
        for (text, ms) in cases {
            assert_eq!(super::ms(text, now_ms), Ok(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "h",
            "2",
            "2w",
            "-2h",
            "+2h",
            "2 h",
            "1.5h",
            "时",
            "2时",
            "yesterday",
            "2026-11-22",
            "99999999999999999999d",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(ms(text, 0).is_err(), "{text}");
        }
    }
}
