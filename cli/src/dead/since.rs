//! Times as people write and read them.

use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The value of `--since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// A time that lies so long ago.
    Ago(Duration),
    /// A time in milliseconds since the Unix epoch.
    At(u64),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write 45s, 30m, 2h or 1d, or a time like 2026-11-22T12:00:00Z".to_owned();
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            let ms = at.unix_timestamp_nanos() / 1_000_000;
            return u64::try_from(ms).map(Self::At).map_err(|_| "that was before 1970".to_owned());
        }
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let number = &text[..text.len() - unit.len_utf8()];
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(seconds).map(|seconds| Self::Ago(Duration::from_secs(seconds))).ok_or_else(wrong)
    }
}

impl Since {
    /// The time in milliseconds since the Unix epoch.
    pub(super) fn ms(self, now_ms: u64) -> u64 {
        match self {
            Self::Ago(ago) => now_ms.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
            Self::At(ms) => ms,
        }
    }
}

/// How long ago a time was, in whole units: `12s`, `5m`, `3h`, `2d`.
pub(super) fn ago(ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(ms) / 1_000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// The time in the form `2026-11-22T12:00:00Z`.
pub(super) fn rfc3339(ms: u64) -> String {
    let at = i64::try_from(ms / 1_000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms after 1970"))
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
            assert_eq!(text.parse::<Since>().map(|since| since.ms(now_ms)), Ok(ms), "{text}");
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
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_age_is_in_whole_units() {
        let cases = [(0, "0s"), (59_999, "59s"), (60_000, "1m"), (7_199_999, "1h"), (86_400_000 * 40, "40d")];
        for (age, text) in cases {
            assert_eq!(ago(0, age), text);
        }
        assert_eq!((ago(5, 0), rfc3339(1_795_348_800_000)), ("0s".to_owned(), "2026-11-22T12:00:00Z".to_owned()));
    }
}
