//! All that a configuration says but the rules, which a process keeps as it was at its start.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use config::{Value, ValueKind};
use sha2::{Digest, Sha256};

use super::environment::Keys;
use super::secret::MAX_FILE_BYTES;
use super::{Config, ConfigErrors, Problems, Source, file, resolve};
use crate::rules::Rules;

/// The sections but `[[rule]]`, with what the environment overrides. It holds secrets: `Debug` does not show it. Clones
/// share it.
#[derive(Clone)]
pub struct Rest(Arc<Sections>);

struct Sections {
    tables: BTreeMap<String, Value>,
    accounts: BTreeMap<String, Keys>,
    /// By section: a digest of it, and of the files that keys ending in `_file` name.
    digests: BTreeMap<String, [u8; 32]>,
}

/// Rules for a process that has started with a [`Rest`].
pub(crate) struct Reloaded {
    pub(crate) rules: Arc<Rules>,
    /// The SHA-256 of the file.
    pub(crate) digest: [u8; 32],
    /// The sections that are not as they were: `[worker]`, `[[account]]`.
    pub(crate) changed: Vec<String>,
}

impl Rest {
    pub(super) fn of(tables: &BTreeMap<String, Value>, accounts: &BTreeMap<String, Keys>, folder: &Path) -> Self {
        let (mut tables, accounts) = (tables.clone(), accounts.clone());
        tables.remove("rule");
        let mut digests = BTreeMap::new();
        for (name, value) in &tables {
            let mut sha256 = Sha256::new();
            digest(&mut sha256, name, value, folder);
            let is_list = matches!(value.kind, ValueKind::Array(_));
            let shown = if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
            digests.insert(shown, sha256.finalize().into());
        }
        for (appid, keys) in &accounts {
            let mut sha256 = Sha256::new();
            for (key, variable) in keys {
                digest(&mut sha256, key, &Value::from(variable.value.as_str()), folder);
            }
            digests.insert(format!("the environment's account {appid}"), sha256.finalize().into());
        }
        Self(Arc::new(Sections { tables, accounts, digests }))
    }

    /// Reads `file` for its rules. All of it must be good. What else has changed is not in force, so the rules must do
    /// without it; accounts are the exception, as a rule for one that is not served does nothing.
    ///
    /// # Errors
    /// All that is wrong with the file, or, when nothing is, the rules that need what has changed beside them.
    pub(crate) fn reload(&self, file: &Path) -> Result<Reloaded, ConfigErrors> {
        let loaded = super::load(file)?;
        let changed = self.differences(&loaded.rest);
        let (rules, digest) = (loaded.rules.current(), loaded.source);
        if changed.is_empty() {
            return Ok(Reloaded { rules, digest, changed });
        }
        match self.resolve_with(loaded.rule_tables, file) {
            Ok(fitted) => Ok(Reloaded { rules: fitted.rules.current(), digest, changed }),
            Err(mut errors) => {
                // What else is wrong now, such as a secret's file that is gone, has been read.
                errors.problems.retain(|problem| problem.starts_with("[[rule]]"));
                let until = "with the rest of the file as it was at the program's start, which holds until a restart";
                errors.problems.iter_mut().for_each(|problem| *problem += &format!(" ({until})"));
                if errors.problems.is_empty() { Ok(Reloaded { rules, digest, changed }) } else { Err(errors) }
            }
        }
    }

    fn resolve_with(&self, rule_tables: Option<Value>, file: &Path) -> Result<Config, ConfigErrors> {
        let Sections { tables, accounts, .. } = &*self.0;
        let (mut tables, accounts) = (tables.clone(), accounts.clone());
        tables.extend(rule_tables.map(|rules| ("rule".to_owned(), rules)));
        resolve(Source { tables, accounts, digest: [0; 32], any_account: true }, file, Problems::default())
    }

    fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (&self.0.digests, &other.0.digests);
        let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
        names.filter(|name| ours.get(*name) != theirs.get(*name)).cloned().collect()
    }
}

/// Adds a key and its value, each with its length or its count, so that no two configurations read the same.
fn digest(sha256: &mut Sha256, key: &str, value: &Value, folder: &Path) {
    let mut add = |text: &str| {
        sha256.update((text.len() as u64).to_be_bytes());
        sha256.update(text);
    };
    add(key);
    match &value.kind {
        ValueKind::Table(table) => {
            add(&format!("table of {}", table.len()));
            let sorted: BTreeMap<_, _> = table.iter().collect();
            sorted.into_iter().for_each(|(key, value)| digest(sha256, key, value, folder));
        }
        ValueKind::Array(values) => {
            add(&format!("list of {}", values.len()));
            values.iter().for_each(|value| digest(sha256, "", value, folder));
        }
        ValueKind::String(text) => {
            add(text);
            if key.ends_with("_file") {
                add(&file::read(&folder.join(text), MAX_FILE_BYTES).unwrap_or_else(|problem| problem));
            }
        }
        other => add(&other.to_string()),
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rest")
    }
}
