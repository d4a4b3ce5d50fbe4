//! The tables of the file with the overrides of the environment.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use config::{ConfigError, File, FileFormat, Source as _, Value, ValueKind};
use kefu_messages::problems::Problems;
use sha2::{Digest, Sha256};

use super::environment::{Keys, Overrides};
use super::table::{Seen, Table, Values, values_of};

/// The largest configuration file: hundreds of rules with the longest texts.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The tables of the configuration while they are read.
pub(super) struct Source<'a> {
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    pub(super) problems: &'a mut Problems,
    tables: BTreeMap<String, Value>,
    accounts: BTreeMap<String, Keys>,
    /// The SHA-256 of the file.
    pub(super) digest: [u8; 32],
    /// The sections as kefu read them, by the section's head: `[worker]`, `[[account]]`.
    pub(super) seen: BTreeMap<String, Seen>,
}

/// The SHA-256 of the present file, or why the file has none.
pub(crate) fn digest(file: &Path) -> Result<[u8; 32], String> {
    read_bytes(file, MAX_FILE_BYTES).map(|bytes| Sha256::digest(&bytes).into())
}

impl<'a> Source<'a> {
    pub(super) fn read(file: &'a Path, overrides: Overrides, problems: &'a mut Problems) -> Result<Self, String> {
        if !file.try_exists().unwrap_or(true) {
            return Err(
                "does not exist: copy kefu.example.toml there and edit it, or name another file with --config FILE"
                    .into(),
            );
        }
        let bytes = read_bytes(file, MAX_FILE_BYTES)?;
        let digest = Sha256::digest(&bytes).into();
        let text = text(bytes)?;
        let parsed = File::from_str(&text, FileFormat::Toml).collect().map_err(|error| syntax_error(&error))?;
        let mut tables: BTreeMap<String, Value> = parsed.into_iter().collect();
        for (name, keys) in overrides.sections {
            let place = format!("[{name}]");
            let section = tables.entry(name).or_insert_with(|| {
                keys.values().take(1).for_each(|one| problems.comes_from(place.clone(), one.name.clone()));
                Values::new().into()
            });
            // A section that is no table is reported when its turn comes.
            if let ValueKind::Table(values) = &mut section.kind {
                overlay(values, keys, &place, problems);
            }
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        Ok(Self { folder, problems, tables, accounts: overrides.accounts, digest, seen: BTreeMap::new() })
    }

    /// Whether the file or the environment has the table `[name]`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// Reads the table `[name]`: an empty one, if the table is absent or wrong.
    pub(super) fn section<T>(&mut self, name: &str, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let head = format!("[{name}]");
        let value = self.tables.remove(name);
        let values = value.and_then(|value| values_of(value, &head, self.problems)).unwrap_or_default();
        self.table(&head, head.clone(), values, read)
    }

    /// Reads the tables `[[name]]`, without those that are no tables. Each has its place in words: `[[rule]] 2`.
    pub(super) fn list<T>(&mut self, name: &str, mut read: impl FnMut(&mut Table<'_>) -> T) -> Vec<(String, T)> {
        let mut list = Vec::new();
        for (place, values) in self.tables_of(name) {
            let read = self.table(&format!("[[{name}]]"), place.clone(), values, &mut read);
            list.push((place, read));
        }
        list
    }

    /// Reads `[[account]]` with the overrides of the environment. The place of each account has its appid.
    pub(super) fn accounts<T>(&mut self, mut read: impl FnMut(&mut Table<'_>) -> T) -> Vec<T> {
        let mut overrides = std::mem::take(&mut self.accounts);
        let mut accounts = Vec::new();
        for (mut place, mut values) in self.tables_of("account") {
            if let Some(Ok(appid)) = values.get("appid").map(|appid| appid.clone().into_string()) {
                place = format!("{place} ({appid})");
                let keys = overrides.remove(&appid.to_lowercase()).unwrap_or_default();
                overlay(&mut values, keys, &place, self.problems);
            }
            accounts.push(self.table("[[account]]", place, values, &mut read));
        }
        for (appid, keys) in overrides {
            let place = format!("the environment's account {appid}");
            let mut values = Values::from([("appid".to_owned(), Value::from(appid))]);
            overlay(&mut values, keys, &place, self.problems);
            accounts.push(self.table(&place.clone(), place, values, &mut read));
        }
        accounts
    }

    /// Notes every table or top-level key that nobody took.
    pub(super) fn report_unknown(&mut self) {
        for (name, value) in std::mem::take(&mut self.tables) {
            match value.kind {
                ValueKind::Table(_) => self.problems.add(format!("[{name}]"), "there is no such section"),
                ValueKind::Array(_) => self.problems.add(format!("[[{name}]]"), "there is no such section"),
                _ => self.problems.add(name, "there is no such key outside the sections"),
            }
        }
    }

    fn table<T>(&mut self, head: &str, place: String, values: Values, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let (read, seen) = Table::read(place, values, self.folder, self.problems, read);
        self.seen.entry(head.to_owned()).or_default().add(seen);
        read
    }

    /// The tables `[[name]]` with their places.
    fn tables_of(&mut self, name: &str) -> Vec<(String, Values)> {
        let Some(value) = self.tables.remove(name) else { return Vec::new() };
        let ValueKind::Array(values) = value.kind else {
            self.problems.add(format!("[{name}]"), format!("must be written as [[{name}]]"));
            self.problems.leave_out("the file", name);
            return Vec::new();
        };
        let placed = values.into_iter().enumerate().map(|(index, value)| (format!("[[{name}]] {}", index + 1), value));
        placed
            .filter_map(|(place, value)| values_of(value, &place, self.problems).map(|values| (place, values)))
            .collect()
    }
}

/// Replaces values of the file by the variables.
fn overlay(values: &mut Values, keys: Keys, place: &str, problems: &mut Problems) {
    for (key, variable) in keys {
        problems.comes_from(format!("{place} {key}"), variable.name);
        values.insert(key, Value::from(variable.value));
    }
}

/// The place of the TOML's mistake. The parser's own message shows the line, which may contain a secret.
fn syntax_error(error: &ConfigError) -> String {
    let text = error.to_string();
    let place = text.lines().find(|line| line.contains("at line")).unwrap_or("at an unknown place");
    let place = place.find("at line").map_or(place, |start| &place[start..]);
    let reason = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.contains('|') && !line.contains("at line"));
    format!("is not valid TOML {place}{}", reason.map(|reason| format!(": {reason}")).unwrap_or_default())
}

/// The text of a regular file of at most `max_bytes`, without a byte order mark. The error continues a sentence that begins
/// with the file's name, and shows nothing of the content.
pub(super) fn read_file(path: &Path, max_bytes: u64) -> Result<String, String> {
    text(read_bytes(path, max_bytes)?)
}

/// The content of a regular file of at most `max_bytes`; the error is as for [`read_file`].
fn read_bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Checked before the file is opened: opening a FIFO waits for its writer.
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    if kind.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    if !kind.is_file() {
        return Err("is not a regular file (but a pipe, device or socket)".to_owned());
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(max_bytes + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("has more than {} KiB", max_bytes / 1024));
    }
    Ok(bytes)
}

/// The text of a file, without a byte order mark.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}
