//! The list of dead letters, for people.

use std::io::{self, Write};

use kefu_queue::dead_letters::Summary;

use super::since::ago;
use crate::terminal::{columns, cut, printable, width};

const HEADINGS: [&str; 6] = ["ID", "DIED", "ACCOUNT", "REASON", "TRIES", "LAST ERROR"];
const GAP: &str = "  ";
/// The least width of the column with the last error. With less room the last error gets a line of its own.
const LEAST: usize = 36;
const INDENT: &str = "    ";

pub(super) fn write(out: &mut impl Write, letters: &[Summary], now_ms: u64) -> io::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let rows = letters.iter().map(|letter| cells(letter, now_ms));
    let rows: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let widest = |column: usize| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(widest);
    let before = widths.iter().sum::<usize>() + widths.len() * GAP.len();
    let room = width().map_or(usize::MAX, |width| width.saturating_sub(before));
    for (index, row) in rows.iter().enumerate() {
        let line = before_the_error(row, widths);
        let error = &row[5];
        if room >= LEAST {
            writeln!(out, "{}", format!("{line}{}", cut(error, room)).trim_end())?;
        } else {
            writeln!(out, "{}", line.trim_end())?;
            if index > 0 && !error.is_empty() {
                writeln!(out, "{INDENT}{}", cut(error, (room + before).saturating_sub(INDENT.len()).max(LEAST)))?;
            }
        }
    }
    Ok(())
}

fn before_the_error(row: &[String; 6], widths: [usize; 5]) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        let pad = " ".repeat(width - columns(cell));
        // Columns with numbers are aligned to the right.
        let (left, right) = if matches!(index, 1 | 4) { (pad.as_str(), "") } else { ("", pad.as_str()) };
        line = line + left + cell + right + GAP;
    }
    line
}

fn cells(letter: &Summary, now_ms: u64) -> [String; 6] {
    [
        letter.id.clone(),
        letter.died_at_ms.map_or_else(|| "?".to_owned(), |ms| ago(ms, now_ms)),
        letter.account.as_deref().map_or_else(|| "?".to_owned(), printable),
        printable(&letter.reason),
        letter.attempts.to_string(),
        printable(&letter.last_error),
    ]
}
