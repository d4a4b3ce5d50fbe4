//! Dead letters, for people.

use std::io::{self, Write};
use std::iter;

use kefu_messages::unreadable;
use kefu_queue::dead_letters::Summary;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::terminal::{GAP, align, columns, cut, printable, width, write_behind};

/// The least width of the column with the last error. With less room the last error gets a line of its own.
const LEAST_ERROR: usize = 36;
const INDENT: &str = "    ";

pub(super) fn table(out: &mut impl Write, letters: &[Summary], now_ms: u64) -> io::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let mut rows = vec![["ID", "DIED", "ACCOUNT", "REASON", "TRIES"].map(str::to_owned)];
    rows.extend(letters.iter().map(|letter| cells(letter, now_ms)));
    let lines = align(&rows, &[1, 4]);
    let before = columns(&lines[0]) + GAP.len();
    let room = width().map_or(usize::MAX, |width| width.saturating_sub(before));
    let errors = letters.iter().map(|letter| printable(&letter.history.last_error));
    for (index, (line, error)) in lines.iter().zip(iter::once("LAST ERROR".to_owned()).chain(errors)).enumerate() {
        if room >= LEAST_ERROR {
            writeln!(out, "{}", format!("{line}{GAP}{}", cut(&error, room)).trim_end())?;
        } else {
            writeln!(out, "{}", line.trim_end())?;
            if index > 0 && !error.is_empty() {
                writeln!(
                    out,
                    "{INDENT}{}",
                    cut(&error, (room + before).saturating_sub(INDENT.len()).max(LEAST_ERROR))
                )?;
            }
        }
    }
    Ok(())
}

fn cells(letter: &Summary, now_ms: u64) -> [String; 5] {
    let unknown = || "?".to_owned();
    [
        letter.id.clone(),
        letter.history.died_at_ms.map_or_else(unknown, |ms| ago(ms, now_ms)),
        letter.account.as_deref().map_or_else(unknown, printable),
        printable(&letter.history.reason),
        letter.history.attempts.to_string(),
    ]
}

/// Writes one dead letter.
pub(super) fn letter(out: &mut impl Write, letter: &Summary, now_ms: u64) -> io::Result<()> {
    let time = |ms: Option<u64>| ms.map(|ms| format!("{} ({} ago)", rfc3339(ms), ago(ms, now_ms)));
    let times = |count: u32| match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let kind = |kind: &String| if kind == unreadable::MSG_TYPE { "not readable".to_owned() } else { kind.clone() };
    let body = match &letter.undecodable {
        None => format!("{} bytes, an envelope", letter.body_bytes),
        Some(why) => format!("{} bytes, {why}", letter.body_bytes),
    };
    let unknown = || "not known".to_owned();
    let mut lines = vec![
        ("account", letter.account.clone()),
        ("user", letter.user.clone()),
        ("message", letter.kind.as_ref().map(kind)),
        ("received", time(letter.received_at_ms)),
        ("first seen", time(letter.history.first_seen_ms)),
        ("died", time(letter.history.died_at_ms).or_else(|| Some(unknown()))),
        ("reason", Some(letter.history.reason.clone())),
        ("tried", Some(times(letter.history.attempts))),
        ("first error", Some(letter.history.first_error.clone()).filter(|first| *first != letter.history.last_error)),
        ("last error", Some(letter.history.last_error.clone())),
        ("replayed", Some(times(letter.history.replays))),
        ("partition", letter.partition.clone().or_else(|| Some(unknown()))),
        ("trace", letter.history.traceparent.clone()),
        ("body", Some(body)),
    ];
    if let Some(content) = &letter.content {
        lines.push(("openid", content.user.clone()));
        match &content.bytes {
            None => lines.push(("content", Some(content.raw.clone()))),
            Some(bytes) => {
                lines.push(("content", Some(legible(&bytes.0))));
                lines.push(("base64", Some(bytes.to_string()).filter(|base64| !base64.is_empty())));
            }
        }
    }
    writeln!(out, "dead letter {}", letter.id)?;
    for (name, value) in lines {
        if let Some(value) = value {
            write_behind(out, &format!("  {name:13}"), &value)?;
        }
    }
    Ok(())
}

/// Bytes as text. Bytes that are not UTF-8 appear as `\xff` and the like.
fn legible(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "(no bytes)".to_owned();
    }
    let mut legible = String::new();
    for chunk in bytes.utf8_chunks() {
        legible.push_str(chunk.valid());
        legible.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    legible
}

/// How long ago a time was, in whole units: `12s`, `5m`, `3h`, `2d`.
fn ago(ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(ms) / 1_000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// The time in the form `2026-11-22T12:00:00Z`.
fn rfc3339(ms: u64) -> String {
    let at = i64::try_from(ms / 1_000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms after 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_where_they_are_and_by_number_where_they_are_not() {
        assert_eq!(legible("<xml>您好".as_bytes()), "<xml>您好");
        assert_eq!(legible(b"a\xff\xe5\xaeb\x80"), r"a\xff\xe5\xaeb\x80");
        assert_eq!(legible(b""), "(no bytes)");
        assert_eq!(printable(&legible(b"\x1b[2J\0\xff")), r"\u{1b}[2J\u{0}\xff");
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
