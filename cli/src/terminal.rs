//! Texts as a terminal shows them, and their width in columns.

use std::io::{self, Write};

use anyhow::Context;
use rustix::termios::tcgetwinsize;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The width of the terminal; `None` when standard output is no terminal.
pub(crate) fn width() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(size.ws_col.into()).filter(|columns| *columns > 0)
}

/// Writes to standard output. A reader that has closed the pipe wants no more, which is no error.
pub(crate) fn print(write: impl FnOnce(&mut io::StdoutLock) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("the result cannot be written"),
    }
}

/// The least width of a text behind its head, however narrow the terminal is.
const LEAST: usize = 24;

/// Writes the text behind its head. Where the terminal is not wide enough, the text continues below its start.
pub(crate) fn write_behind(out: &mut impl Write, head: &str, text: &str) -> io::Result<()> {
    let before = columns(head);
    let room = width().map_or(usize::MAX, |width| width.saturating_sub(before).max(LEAST));
    let mut head = head.to_owned();
    for line in wrap(&printable(text), room) {
        writeln!(out, "{}", format!("{head}{line}").trim_end())?;
        head = " ".repeat(before);
    }
    Ok(())
}

/// The space between two columns of a table.
pub(crate) const GAP: &str = "  ";

/// The width of a column of a table.
pub(crate) fn widest<const N: usize>(rows: &[[String; N]], column: usize) -> usize {
    rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0)
}

/// A line for each row, with its cells one below the other. The columns `right` are aligned to the right.
pub(crate) fn align<const N: usize>(rows: &[[String; N]], right: &[usize]) -> Vec<String> {
    let widths: [usize; N] = std::array::from_fn(|column| widest(rows, column));
    let cell = |column: usize, text: &str| {
        let pad = " ".repeat(widths[column] - columns(text));
        if right.contains(&column) { pad + text } else { text.to_owned() + &pad }
    };
    let line = |row: &[String; N]| row.iter().enumerate().map(|(column, text)| cell(column, text)).collect::<Vec<_>>();
    rows.iter().map(|row| line(row).join(GAP)).collect()
}

/// The text with `\u{1b}` and the like in place of characters that a terminal would obey: errors and contents come from
/// outside.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|char| if obeyed(char) { char.escape_default().collect() } else { vec![char] }).collect()
}

fn obeyed(char: char) -> bool {
    // Some characters change the direction of the text after them, so they count as well.
    char.is_control() || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The width of the text in columns.
pub(crate) fn columns(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// How many names of the same kind a text shows at most.
pub(crate) const MAX_NAMED: usize = 5;

/// The names, with `…` in place of all after the fifth.
pub(crate) fn names(all: &[impl AsRef<str>]) -> String {
    let mut named: Vec<&str> = all.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    named.extend((all.len() > MAX_NAMED).then_some("…"));
    named.join(", ")
}

/// A number with its noun: `1 rule`, `2 rules`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The text cut to so many columns at most, with `…` at its end if the text was longer.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.graphemes(true).take_while(|cluster| {
        used += cluster.width();
        used <= most
    });
    let mut kept: String = kept.collect();
    kept.push('…');
    kept
}

/// The text in lines of so many columns at most, broken at spaces where possible.
pub(crate) fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && used + columns(word.trim_end()) > most {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for cluster in word.graphemes(true) {
            let columns = cluster.width();
            if cluster != " " && used + columns > most.max(2) {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push_str(cluster);
            used += columns;
        }
    }
    lines.push(line);
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(printable("a\u{1b}[2J\r\n\u{9b}\u{202e}好"), r"a\u{1b}[2J\r\n\u{9b}\u{202e}好");
    }

    #[test]
    fn a_cut_text_has_the_columns_it_may_have() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!((cut("您好您好", 8), cut("您好您好", 7)), ("您好您好".to_owned(), "您好您…".to_owned()));
        assert_eq!(columns(&cut("您好您好", 6)), 5);
    }

    #[test]
    fn what_is_seen_as_one_character_is_shown_whole() {
        assert_eq!((columns("🇨🇳👨‍👩‍👧e\u{301}"), columns("")), (5, 0));
        assert_eq!((cut("🇨🇳🇨🇳🇨🇳", 5), cut("👨‍👩‍👧👨‍👩‍👧", 3)), ("🇨🇳🇨🇳…".to_owned(), "👨‍👩‍👧…".to_owned()));
        assert_eq!(wrap("🇨🇳🇨🇳🇨🇳", 4), ["🇨🇳🇨🇳", "🇨🇳"]);
    }

    #[test]
    fn lines_are_broken_at_spaces_and_inside_of_words_that_are_too_long() {
        assert_eq!(wrap("errcode 45015: response out of time", 14), ["errcode 45015:", "response out", "of time"]);
        assert_eq!(wrap("abcdefgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("您好您好", 5), ["您好", "您好"]);
        assert_eq!(wrap("", 5), [""]);
    }

    /// With a run time that grows with the square of the length, this test would take hours.
    #[test]
    fn a_text_of_a_million_characters_is_wrapped_at_once() {
        let text = "[".repeat(1_000_000);
        assert_eq!(wrap(&text, usize::MAX), [text.as_str()]);
        assert_eq!(wrap(&text, 100).len(), 10_000);
    }
}
