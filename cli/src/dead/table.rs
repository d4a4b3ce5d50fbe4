//! The list, for people.

use std::io::{self, Write};

use kefu_shared::queue::dead_letters::Summary;

use super::moment::ago;
use super::terminal::{columns, cut, printable, width};

const HEADINGS: [&str; 6] = ["ID", "DIED", "ACCOUNT", "REASON", "TRIES", "LAST ERROR"];
const GAP: &str = "  ";
/// What is left for the last error in a narrow terminal.
const LEAST: usize = 12;

pub(super) fn write(out: &mut impl Write, letters: &[Summary], now_ms: u64) -> io::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let rows = letters.iter().map(|letter| cells(letter, now_ms));
    let rows: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let widest = |column: usize| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(widest);
    let before = widths.iter().sum::<usize>() + widths.len() * GAP.len();
    for row in &rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            let pad = " ".repeat(width - columns(cell));
            // Numbers to the right.
            let (left, right) = if matches!(index, 1 | 4) { (pad.as_str(), "") } else { ("", pad.as_str()) };
            line = line + left + cell + right + GAP;
        }
        line += &match width() {
            Some(width) => cut(&row[5], width.saturating_sub(before).max(LEAST)),
            None => row[5].clone(),
        };
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
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
