//! The mistakes in a configuration, collected while the configuration is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The problems found so far. A place is a table in words, `[queue]` or `[[account]] 1 (wx…)`, optionally with a key:
/// `[queue] url`.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<String>,
    /// Values that are accepted but sent with changes.
    notices: Vec<String>,
    /// The variables of the environment that gave places their values.
    variables: BTreeMap<String, String>,
    /// Places whose value is known to be wrong, and is left out.
    left_out: BTreeSet<String>,
}

impl Problems {
    /// Notes a problem, with the variable of the environment that gave the place its value.
    pub fn add(&mut self, place: impl fmt::Display, problem: impl fmt::Display) {
        let problem = self.placed(place, problem);
        self.found.push(problem);
    }

    /// Notes a value that is no problem, but may surprise its author.
    pub fn notice(&mut self, place: impl fmt::Display, notice: impl fmt::Display) {
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
    pub fn take<T, E: fmt::Display>(&mut self, place: impl fmt::Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(place, error)).ok()
    }

    /// Notes that `table` lacks `key`. If `key` is given but wrong, that mistake is noted already, and nothing is added.
    pub fn missing(&mut self, table: &str, key: &str, problem: impl fmt::Display) {
        self.missing_one_of(table, &[key], problem);
    }

    /// As [`Problems::missing`], for a table in which one of several keys is enough.
    pub fn missing_one_of(&mut self, table: &str, keys: &[&str], problem: impl fmt::Display) {
        let is_left_out = |name: String| self.left_out.contains(&format!("{table} {name}"));
        if !keys.iter().any(|key| is_left_out((*key).to_owned()) || is_left_out(format!("{key}_file"))) {
            self.add(table, problem);
        }
    }

    /// Remembers that `key` of `table` is given, wrong, and left out.
    pub fn leave_out(&mut self, table: &str, key: &str) {
        self.left_out.insert(format!("{table} {key}"));
    }

    /// Remembers that a place has its value from a variable of the environment.
    pub fn comes_from(&mut self, place: String, variable: String) {
        self.variables.insert(place, variable);
    }

    /// How many problems there are so far.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The problems and the notices, one line each.
    pub fn into_lines(self) -> (Vec<String>, Vec<String>) {
        (self.found, self.notices)
    }
}
