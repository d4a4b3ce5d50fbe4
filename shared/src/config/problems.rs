//! What is wrong with a configuration.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

/// All that is wrong with a configuration. Holds no secret.
#[derive(Debug)]
pub struct ConfigErrors {
    pub(super) file: PathBuf,
    pub(super) problems: Vec<String>,
    pub(super) notices: Vec<String>,
}

impl ConfigErrors {
    /// One line a problem.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// What of the configuration would be taken otherwise than it is written, beside the problems.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(f, "{} has {} problem{plural}:", self.file.display(), self.problems.len())?;
        for (number, problem) in self.problems.iter().enumerate() {
            write!(f, "\n  {}. {}", number + 1, visible(problem))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The text with `\u{1}` and the like for control characters, which a terminal does not show: names of files may have them.
/// Lines stay lines.
fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Problems found so far. A place is a table in words, `[queue]` or `[[account]] 1 (wx…)`, or that and a key:
/// `[queue] url`.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<String>,
    /// Values that are accepted but sent with changes.
    notices: Vec<String>,
    /// The variables that places have their values from.
    variables: BTreeMap<String, String>,
    /// Places whose value is known to be wrong, and is left out.
    left_out: BTreeSet<String>,
}

impl Problems {
    /// Notes a problem, with the variable of the environment that the place has its value from.
    pub(crate) fn add(&mut self, place: impl fmt::Display, problem: impl fmt::Display) {
        let problem = self.placed(place, problem);
        self.found.push(problem);
    }

    /// Notes something that is no problem, but not as whoever wrote it may think.
    pub(crate) fn notice(&mut self, place: impl fmt::Display, notice: impl fmt::Display) {
        let notice = self.placed(place, notice);
        self.notices.push(notice);
    }

    fn placed(&self, place: impl fmt::Display, text: impl fmt::Display) -> String {
        let place = place.to_string();
        match self.variables.get(&place) {
            Some(variable) => format!("{place} (from {variable}): {text}"),
            None => format!("{place}: {text}"),
        }
    }

    /// The value, or `None` with the error noted.
    pub(crate) fn take<T, E: fmt::Display>(&mut self, place: impl fmt::Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(place, error)).ok()
    }

    /// Notes that `table` lacks `key`, unless there is one and it is wrong, which has been said.
    pub(crate) fn missing(&mut self, table: &str, key: &str, problem: impl fmt::Display) {
        self.missing_one_of(table, &[key], problem);
    }

    /// As [`Problems::missing`], where one of several keys would do.
    pub(crate) fn missing_one_of(&mut self, table: &str, keys: &[&str], problem: impl fmt::Display) {
        let is_left_out = |key: &str| self.is_left_out(table, key) || self.is_left_out(table, &format!("{key}_file"));
        if !keys.iter().any(|key| is_left_out(key)) {
            self.add(table, problem);
        }
    }

    /// Whether `key` of `table` is given and wrong, which has been said.
    pub(crate) fn is_left_out(&self, table: &str, key: &str) -> bool {
        self.left_out.contains(&format!("{table} {key}"))
    }

    /// Remembers that `key` of `table` is given, wrong, and left out.
    pub(super) fn leave_out(&mut self, table: &str, key: &str) {
        self.left_out.insert(format!("{table} {key}"));
    }

    /// Remembers that a place has its value from a variable of the environment.
    pub(super) fn comes_from(&mut self, place: String, variable: String) {
        self.variables.insert(place, variable);
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    pub(super) fn into_notices(self) -> Vec<String> {
        self.notices
    }

    pub(super) fn into_errors(self, file: PathBuf) -> ConfigErrors {
        ConfigErrors { file, problems: self.found, notices: self.notices }
    }
}
