//! One dead letter, for people.

use std::io::{self, Write};

use kefu_messages::unreadable;
use kefu_queue::dead_letters::Summary;

use super::since::{ago, rfc3339};
use crate::terminal::{printable, width, wrap};

/// The column in which the values begin.
const INDENT: usize = 15;
/// The least width of a value.
const LEAST: usize = 20;

pub(super) fn write(out: &mut impl Write, letter: &Summary, now_ms: u64) -> io::Result<()> {
    let time = |ms: Option<u64>| ms.map(|ms| format!("{} ({} ago)", rfc3339(ms), ago(ms, now_ms)));
    let times = |count: u32| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let replays = match letter.replays {
        0 => "never".to_owned(),
        count => times(count),
    };
    let body = match &letter.undecodable {
        None => format!("{} bytes, an envelope", letter.body_bytes),
        Some(why) => format!("{} bytes, {why}", letter.body_bytes),
    };
    let unknown = || "not known".to_owned();
    let lines = [
        ("account", letter.account.clone()),
        ("user", letter.user.clone()),
        ("message", letter.kind.as_deref().map(kind_in_words)),
        ("received", time(letter.received_at_ms)),
        ("first seen", time(letter.first_seen_ms)),
        ("died", time(letter.died_at_ms).or_else(|| Some(unknown()))),
        ("reason", Some(letter.reason.clone())),
        ("tried", Some(times(letter.attempts))),
        ("first error", Some(letter.first_error.clone()).filter(|first| *first != letter.last_error)),
        ("last error", Some(letter.last_error.clone())),
        ("replayed", Some(replays)),
        ("partition", letter.partition.clone().or_else(|| Some(unknown()))),
        ("trace", letter.traceparent.clone()),
        ("body", Some(body)),
    ];
    writeln!(out, "dead letter {}", letter.id)?;
    for (name, value) in lines {
        if let Some(value) = value {
            line(out, name, &value)?;
        }
    }
    if let Some(content) = &letter.content {
        if let Some(user) = &content.user {
            line(out, "openid", user)?;
        }
        match &content.bytes {
            None => line(out, "content", &content.raw)?,
            Some(bytes) => {
                line(out, "content", &legible(&bytes.0))?;
                if !bytes.0.is_empty() {
                    line(out, "base64", &bytes.to_string())?;
                }
            }
        }
    }
    Ok(())
}

fn kind_in_words(kind: &str) -> String {
    if kind == unreadable::MSG_TYPE { "not readable".to_owned() } else { kind.to_owned() }
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

fn line(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    let room = width().map_or(usize::MAX, |width| width.saturating_sub(INDENT).max(LEAST));
    let mut name = name;
    for part in wrap(&printable(value), room) {
        writeln!(out, "{}", format!("  {name:0$}{part}", INDENT - 2).trim_end())?;
        name = "";
    }
    Ok(())
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
}
