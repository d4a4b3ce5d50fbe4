//! The list of rules, for people.

use std::io::{self, Write};
use std::path::Path;

use kefu_messages::rules::Rule;
use kefu_program::config::Config;

use crate::terminal::{columns, count, printable, width, wrap};

const GAP: &str = "  ";
/// The least width of the column of conditions.
const LEAST: usize = 24;

pub(super) fn write(out: &mut impl Write, file: &Path, config: &Config) -> io::Result<()> {
    let rules = config.rules.current();
    let accounts = count(config.accounts.iter().count(), "account", "accounts");
    writeln!(out, "{} is good: {accounts}, {}", file.display(), count(rules.iter().len(), "rule", "rules"))?;
    for notice in &config.notices {
        writeln!(out, "note: {}", printable(notice))?;
    }
    if rules.iter().len() == 0 {
        return writeln!(out, "every push is acknowledged, and nothing is sent");
    }
    let cells = |(index, rule): (usize, &Rule)| {
        [(index + 1).to_string(), printable(&rule.when()), printable(&rule.action().in_words())]
    };
    let mut rows = vec![["RULE", "WHEN", "ACTION"].map(str::to_owned)];
    rows.extend(rules.iter().enumerate().map(cells));
    let widest = |column: usize| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
    let (numbers, actions) = (widest(0), widest(2));
    let taken = numbers + actions + 2 * GAP.len();
    let room = width().map_or(usize::MAX, |width| width.saturating_sub(taken).max(LEAST));
    let whens = widest(1).min(room);
    for [number, when, action] in &rows {
        let (mut number, mut action) = (number.as_str(), action.as_str());
        for part in wrap(when, whens) {
            let pad = " ".repeat(whens - columns(&part).min(whens));
            let line = format!("{number:>numbers$}{GAP}{part}{pad}{GAP}{action}");
            writeln!(out, "{}", line.trim_end())?;
            (number, action) = ("", "");
        }
    }
    Ok(())
}
