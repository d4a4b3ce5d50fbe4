//! The tables of the file with the overrides of the environment.

use std::collections::BTreeMap;
use std::path::Path;

use config::{ConfigError, File, FileFormat, Source as _, Value, ValueKind};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::environment::{Keys, Overrides};
use super::sections_at_start::RuleTables;
use super::typed::typed;
use super::{AccountSection, Problems, SectionsAtStart, file};

/// The largest configuration file: hundreds of rules with the longest texts.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

type Table = config::Map<String, Value>;

/// The rest of the configuration while its pieces are taken out.
pub(super) struct Source {
    pub(super) tables: BTreeMap<String, Value>,
    pub(super) accounts: BTreeMap<String, Keys>,
    /// The SHA-256 of the file.
    pub(super) digest: [u8; 32],
    /// Whether rules may name accounts that do not exist.
    pub(super) any_account: bool,
}

/// The SHA-256 of the present file, or why the file has none.
pub(crate) fn digest(file: &Path) -> Result<[u8; 32], String> {
    file::read_bytes(file, MAX_FILE_BYTES).map(|bytes| Sha256::digest(&bytes).into())
}

impl Source {
    pub(super) fn read(file: &Path, overrides: Overrides, problems: &mut Problems) -> Result<Self, String> {
        if !file.try_exists().unwrap_or(true) {
            return Err(
                "does not exist: copy kefu.example.toml there and edit it, or name another with --config FILE".into()
            );
        }
        let bytes = file::read_bytes(file, MAX_FILE_BYTES)?;
        let digest = Sha256::digest(&bytes).into();
        let text = file::text(bytes)?;
        let parsed = File::from_str(&text, FileFormat::Toml).collect().map_err(|error| syntax_error(&error))?;
        let mut tables: BTreeMap<String, Value> = parsed.into_iter().collect();
        for (name, keys) in overrides.sections {
            let section = tables.entry(name.clone()).or_insert_with(|| {
                keys.values().take(1).for_each(|one| problems.comes_from(format!("[{name}]"), one.name.clone()));
                Table::new().into()
            });
            // A section that is no table is reported when its turn comes.
            if let ValueKind::Table(table) = &mut section.kind {
                overlay(table, keys, &format!("[{name}]"), problems);
            }
        }
        Ok(Self { tables, accounts: overrides.accounts, digest, any_account: false })
    }

    /// Everything that is not a rule.
    pub(super) fn at_start(&self, folder: &Path) -> SectionsAtStart {
        SectionsAtStart::of(&self.tables, &self.accounts, folder)
    }

    /// `[[rule]]` as it is written.
    pub(super) fn rule_tables(&self) -> RuleTables {
        RuleTables(self.tables.get("rule").cloned())
    }

    /// The table `[name]`, or its defaults if the table is absent or wrong.
    pub(super) fn section<T: DeserializeOwned + Default>(&mut self, name: &str, problems: &mut Problems) -> T {
        let value = self.tables.remove(name);
        value.and_then(|value| typed(value, &format!("[{name}]"), problems)).unwrap_or_default()
    }

    /// As [`Source::section`]; `None` if the table is absent.
    pub(super) fn optional<T: DeserializeOwned + Default>(&mut self, name: &str, problems: &mut Problems) -> Option<T> {
        self.tables.contains_key(name).then(|| self.section(name, problems))
    }

    /// The tables `[[name]]`, each with its place in words; unreadable tables are left out.
    pub(super) fn list<T: DeserializeOwned>(&mut self, name: &str, problems: &mut Problems) -> Vec<(String, T)> {
        let values = self.values(name, problems);
        let typed = values.into_iter().filter_map(|(place, value)| {
            let item = typed(value, &place, problems)?;
            Some((place, item))
        });
        typed.collect()
    }

    /// `[[account]]` with the overrides of the environment. Each account has its place in words, with the appid.
    pub(super) fn accounts(&mut self, problems: &mut Problems) -> Vec<(String, AccountSection)> {
        let mut overrides = std::mem::take(&mut self.accounts);
        let mut tables = self.values("account", problems);
        for (place, value) in &mut tables {
            let ValueKind::Table(table) = &mut value.kind else { continue };
            let Some(Ok(appid)) = table.get("appid").map(|appid| appid.clone().into_string()) else { continue };
            let keys = overrides.remove(&appid.to_lowercase()).unwrap_or_default();
            *place = format!("{place} ({appid})");
            overlay(table, keys, place, problems);
        }
        for (appid, keys) in overrides {
            let place = format!("the environment's account {appid}");
            let mut table = Table::from([("appid".to_owned(), Value::from(appid))]);
            overlay(&mut table, keys, &place, problems);
            tables.push((place, table.into()));
        }
        let typed = tables.into_iter().filter_map(|(place, value)| {
            let account = typed(value, &place, problems)?;
            Some((place, account))
        });
        typed.collect()
    }

    /// Notes every table or top-level key that nobody took.
    pub(super) fn report_unknown(self, problems: &mut Problems) {
        for (name, value) in self.tables {
            match value.kind {
                ValueKind::Table(_) => problems.add(format!("[{name}]"), "there is no such section"),
                ValueKind::Array(_) => problems.add(format!("[[{name}]]"), "there is no such section"),
                _ => problems.add(name, "there is no such key outside the sections"),
            }
        }
    }

    fn values(&mut self, name: &str, problems: &mut Problems) -> Vec<(String, Value)> {
        let Some(value) = self.tables.remove(name) else { return Vec::new() };
        let ValueKind::Array(values) = value.kind else {
            problems.add(format!("[{name}]"), format!("must be written as [[{name}]]"));
            problems.leave_out("the file", name);
            return Vec::new();
        };
        values.into_iter().enumerate().map(|(index, value)| (format!("[[{name}]] {}", index + 1), value)).collect()
    }
}

/// Replaces values of the file by the variables.
fn overlay(table: &mut Table, keys: Keys, place: &str, problems: &mut Problems) {
    for (key, variable) in keys {
        problems.comes_from(format!("{place} {key}"), variable.name);
        table.insert(key, Value::from(variable.value));
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
