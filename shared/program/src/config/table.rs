//! A table of the configuration while its values are taken out. Each value is read once, and its mistakes are noted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{ConfigError, Value, ValueKind};
use kefu_messages::problems::Problems;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The values of a table, by key.
pub(super) type Values = config::Map<String, Value>;

/// The values of a table. A value that is no table is a mistake.
pub(super) fn values_of(value: Value, place: &str, problems: &mut Problems) -> Option<Values> {
    if let ValueKind::Table(values) = value.kind {
        return Some(values);
    }
    problems.add(place, "must be a table");
    None
}

/// A table while its values are taken out. The methods that take a value out return `None` for an absent value, and for
/// a wrong value, whose mistake they note. In the end, each key that was not asked for is a mistake too.
pub(super) struct Table<'a> {
    /// In words: `[queue]`, `[[account]] 1 (wx…)`.
    place: String,
    values: BTreeMap<String, Value>,
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    pub(super) problems: &'a mut Problems,
    seen: Seen,
    /// The required keys without a value, each with its problem.
    missing: Vec<(&'static str, &'static str)>,
}

/// The digest and the keys of a section, as kefu read it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Of all values, and of the files with secrets.
    digest: Sha256,
    /// The keys that the section can have: `token`, `previous.token`.
    pub(super) keys: BTreeSet<String>,
}

impl<'a> Table<'a> {
    /// Reads a table from its first value to its unknown keys.
    pub(super) fn read<T>(
        place: String,
        values: Values,
        folder: &'a Path,
        problems: &'a mut Problems,
        read: impl FnOnce(&mut Self) -> T,
    ) -> (T, Seen) {
        let values = values.into_iter().collect();
        let mut table = Self { place, values, folder, problems, seen: Seen::default(), missing: Vec::new() };
        let read = read(&mut table);
        (read, table.close())
    }

    /// The place of `key`, in words.
    pub(super) fn at(&self, key: &str) -> String {
        format!("{} {key}", self.place)
    }

    /// Notes a mistake of the table as a whole.
    pub(super) fn problem(&mut self, problem: impl fmt::Display) {
        self.problems.add(&self.place, problem);
    }

    /// Notes that the value of `key` is wrong.
    pub(super) fn wrong(&mut self, key: &str, problem: impl fmt::Display) {
        self.problems.add(self.at(key), problem);
        self.leave_out(key);
    }

    /// Remembers that the table has `key`, with a mistake that is noted already.
    pub(super) fn leave_out(&mut self, key: &str) {
        self.problems.leave_out(&self.place, key);
    }

    /// Notes that `key` is missing, unless the table has a wrong or misspelt `key`.
    pub(super) fn missing(&mut self, key: &'static str, problem: &'static str) {
        self.missing.push((key, problem));
    }

    /// Notes that `key` is missing, if it has no value.
    pub(super) fn needs<T>(&mut self, key: &'static str, value: &Option<T>, problem: &'static str) {
        if value.is_none() {
            self.missing(key, problem);
        }
    }

    /// A value of any type.
    pub(super) fn get<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.take(key)?;
        let (mut unknown, mut track) = (Vec::new(), serde_path_to_error::Track::new());
        let watched = serde_path_to_error::Deserializer::new(value, &mut track);
        let read = serde_ignored::deserialize(watched, |path| unknown.push(path.to_string()));
        for path in unknown {
            self.problems.add(self.at(&readable(key, &path)), "there is no such key");
        }
        read.map_err(|error| {
            self.problems.add(self.at(&readable(key, &track.path().to_string())), plain(&error));
            self.leave_out(key);
        })
        .ok()
    }

    /// A whole number.
    pub(super) fn number<T: TryFrom<u64>>(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<T> {
        let number = self.take(key)?.into_uint();
        let (least, most) = (range.start(), range.end());
        let problem = match number {
            Ok(number) if range.contains(&number) => return number.try_into().ok(),
            Ok(_) => format!("must be from {least} to {most}"),
            Err(_) if *most == u64::MAX => format!("must be a whole number, not below {least}"),
            Err(_) => format!("must be a whole number from {least} to {most}"),
        };
        self.wrong(key, problem);
        None
    }

    /// A time in milliseconds.
    pub(super) fn milliseconds(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<Duration> {
        self.number(key, range).map(Duration::from_millis)
    }

    /// One of `choices`, by its name. The mistake names all choices, and not the given value, which may be a secret in
    /// the wrong place.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let given: String = self.get(key)?;
        let chosen = choices.iter().find(|(name, _)| *name == given);
        if chosen.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.wrong(key, format!("must be one of {}", names.join(", ")));
        }
        chosen.map(|(_, value)| *value)
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, key: &str) -> Option<SocketAddr> {
        let address = self.get::<String>(key)?.parse();
        address.map_err(|_| self.wrong(key, "must be \"IP:PORT\", for example \"127.0.0.1:8080\"")).ok()
    }

    /// A folder. An empty text means none, so an environment variable can remove a value of the file.
    pub(super) fn folder(&mut self, key: &str) -> Option<PathBuf> {
        let folder: PathBuf = self.get(key)?;
        (!folder.as_os_str().is_empty()).then(|| self.folder.join(folder))
    }

    /// The tables of `[[table.key]]`.
    pub(super) fn list<T>(&mut self, key: &str, mut read: impl FnMut(&mut Table<'_>) -> T) -> Vec<T> {
        self.seen.keys.insert(key.to_owned());
        let ValueKind::Array(values) = self.values.remove(key).map_or(ValueKind::Array(Vec::new()), |value| value.kind)
        else {
            self.wrong(key, "must be a list: [ …, … ]");
            return Vec::new();
        };
        let mut list = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let place = self.at(&format!("{key} {}", index + 1));
            let Some(values) = values_of(value, &place, self.problems) else { continue };
            let (item, seen) = Table::read(place, values, self.folder, self.problems, &mut read);
            self.seen.add(Seen { keys: seen.keys.iter().map(|of| format!("{key}.{of}")).collect(), ..seen });
            list.push(item);
        }
        list
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.seen.keys.insert(key.to_owned());
        let value = self.values.remove(key)?;
        self.saw(key, &value.to_string());
        Some(value)
    }

    /// Adds a text to the digest. Both texts with their lengths, so that no two tables have the same digest.
    pub(super) fn saw(&mut self, key: &str, text: &str) {
        for text in [key, text] {
            self.seen.digest.update((text.len() as u64).to_be_bytes());
            self.seen.digest.update(text);
        }
    }

    fn close(self) -> Seen {
        for unknown in self.values.keys() {
            let meant = meant(&self.seen.keys, unknown);
            let hint = meant.map(|key| format!("; did you mean {key}?")).unwrap_or_default();
            self.problems.add(self.at(unknown), format!("there is no such key{hint}"));
            if let Some(key) = meant {
                self.problems.leave_out(&self.place, key);
            }
        }
        for (key, problem) in self.missing {
            self.problems.missing(&self.place, key, problem);
        }
        self.seen
    }
}

impl Seen {
    /// Adds the digest and the keys of another table of the section.
    pub(super) fn add(&mut self, other: Self) {
        self.digest.update(other.digest.finalize());
        self.keys.extend(other.keys);
    }

    /// Whether both have read the same values.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest.clone().finalize() == other.digest.clone().finalize()
    }
}

/// The path to a mistake below `key` in words: `reply 1 text`, where serde_ignored writes `0.text` and
/// serde_path_to_error writes `[0].text`, or a lone dot for the whole value.
fn readable(key: &str, path: &str) -> String {
    let mut words = key.to_owned();
    let mut after_index = false;
    for part in path.split(['.', '[']).filter(|part| !["", "?"].contains(part)) {
        let index = part.trim_end_matches(']').parse::<usize>();
        words += if after_index || index.is_ok() { " " } else { "." };
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
        _ if expected.contains("integer") => "a whole number, not below 0",
        _ if expected.starts_with("struct ") || expected == "a map" => "a table: { key = value, … }",
        "a sequence" | "an array" => "a list: [ …, … ]",
        "a boolean" => "true or false",
        "a floating point" => "a number",
        "path string" => "a string",
        other => other,
    };
    format!("must be {expected}")
}

/// The key that the author probably meant, if a key of this table, not of the tables in it, is similar to the written
/// one.
fn meant<'a>(keys: &'a BTreeSet<String>, written: &str) -> Option<&'a str> {
    let keys = keys.iter().filter(|key| !key.contains('.'));
    keys.filter_map(|key| Some((difference(key, written)?, key.as_str()))).min().map(|(_, key)| key)
}

/// How many letters differ, without regard to case and hyphens; `None` if most of the letters differ.
fn difference(key: &str, written: &str) -> Option<usize> {
    let letters = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let (key, written) = (letters(key), letters(written));
    let longer = key.chars().count().max(written.chars().count());
    let difference = strsim::osa_distance(&key, &written);
    (difference < longer && difference <= 2.max(longer / 2)).then_some(difference)
}
