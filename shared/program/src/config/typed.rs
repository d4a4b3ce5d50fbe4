//! Reads tables as typed values, and reports their mistakes in plain words.

use std::collections::BTreeSet;

use config::{ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::{Problems, keys};

/// Reads a table and notes every wrong or unknown key in it. A key with a wrong value is left out of the result; `None` if
/// leaving keys out does not help.
pub(super) fn typed<T: DeserializeOwned>(value: Value, place: &str, problems: &mut Problems) -> Option<T> {
    let ValueKind::Table(mut table) = value.kind else {
        problems.add(place, "must be a table");
        return None;
    };
    // Read again without the wrong keys, until every mistake has been seen.
    let (mut wrong, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    let read = loop {
        let mut track = serde_path_to_error::Track::new();
        let watched = serde_path_to_error::Deserializer::new(Value::from(table.clone()), &mut track);
        let result = serde_ignored::deserialize(watched, |path| {
            unknown.insert(readable(&path.to_string()));
        });
        let error = match result {
            Ok(read) => break Some(read),
            Err(error) => error,
        };
        let path = readable(&track.path().to_string());
        let key = path.split(['.', ' ']).next().unwrap_or_default().to_owned();
        wrong.insert((path, plain(&error)));
        if table.remove(&key).is_none() {
            break None;
        }
        problems.leave_out(place, &key);
    };
    for path in unknown {
        // Only the keys of this table are known, not those of the tables in it.
        let meant = if path.contains(['.', ' ']) { None } else { meant(keys::<T>(), &path) };
        let hint = meant.map(|key| format!("; did you mean {key}?")).unwrap_or_default();
        problems.add(format!("{place} {path}"), format!("there is no such key{hint}"));
        if let Some(key) = meant {
            problems.leave_out(place, key);
        }
    }
    for (path, problem) in wrong {
        let place = if path.is_empty() { place.to_owned() } else { format!("{place} {path}") };
        problems.add(place, problem);
    }
    read
}

/// A path in words: `previous 1 token`, where serde_ignored writes `previous.?.0.token` and serde_path_to_error writes
/// `previous[0].token`, or a lone dot for the root.
fn readable(path: &str) -> String {
    let mut words = String::new();
    let mut after_index = false;
    for part in path.split(['.', '[']).filter(|part| !["", "?"].contains(part)) {
        let index = part.trim_end_matches(']').parse::<usize>();
        words += if words.is_empty() {
            ""
        } else if after_index || index.is_ok() {
            " "
        } else {
            "."
        };
        after_index = index.is_ok();
        words += &index.map_or(part.to_owned(), |index| (index + 1).to_string());
    }
    words
}

/// The message of an error without the value, which may be a secret.
fn plain(error: &ConfigError) -> String {
    match error {
        ConfigError::Type { expected, .. } => expectation(expected),
        ConfigError::At { error, .. } => plain(error),
        // The error contains its whole path, which is said already.
        ConfigError::NotFound(path) => format!("{} is missing", path.rsplit(['.', ']']).next().unwrap_or(path)),
        other => {
            let text = other.to_string();
            match text.strip_prefix("invalid ").and_then(|text| text.rsplit_once(", expected ")) {
                Some((_, expected)) => expectation(expected),
                None => text,
            }
        }
    }
}

/// The libraries' expectation, in words of a TOML file.
fn expectation(expected: &str) -> String {
    let expected = match expected {
        _ if expected.contains("16 bit") => "a whole number from 0 to 65535",
        _ if expected.contains("integer") => "a whole number, not below 0",
        _ if expected.starts_with("struct ") || expected == "a map" => "a table: { key = value, … }",
        "a sequence" | "an array" => "a list: [ …, … ]",
        "a boolean" => "true or false",
        "path string" => "a string",
        other => other,
    };
    format!("must be {expected}")
}

/// The key that the author probably meant, if a known key is similar to the written one.
fn meant(keys: &[&'static str], written: &str) -> Option<&'static str> {
    let candidates = keys.iter().filter_map(|key| Some((difference(key, written)?, *key)));
    candidates.min().map(|(_, key)| key)
}

/// How many letters differ, without regard to case and hyphens; `None` if most of the letters differ.
fn difference(key: &str, written: &str) -> Option<usize> {
    let letters = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let (key, written) = (letters(key), letters(written));
    let longer = key.chars().count().max(written.chars().count());
    let difference = strsim::osa_distance(&key, &written);
    (difference < longer && difference <= 2.max(longer / 2)).then_some(difference)
}
