//! Everything in a configuration but the rules, which a process keeps as it was at its start.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use config::{Value, ValueKind};
use kefu_messages::rules::Rules;
use sha2::{Digest, Sha256};

use super::environment::Keys;
use super::secret::MAX_FILE_BYTES;
use super::{Config, ConfigErrors, Problems, Source, file, resolve};

/// The sections but `[[rule]]`, with the overrides of the environment. They contain secrets, so `Debug` does not show them.
/// Clones share the sections.
#[derive(Clone)]
pub struct SectionsAtStart(Arc<Sections>);

struct Sections {
    tables: BTreeMap<String, Value>,
    accounts: BTreeMap<String, Keys>,
    /// By section: a digest of the section, and of the files that keys ending in `_file` name.
    digests: BTreeMap<String, [u8; 32]>,
}

/// `[[rule]]` as it is written. A webhook's address in it may contain a secret, so `Debug` does not show it.
#[derive(Clone)]
pub(super) struct RuleTables(pub(super) Option<Value>);

/// Rules for a process that has started with a [`SectionsAtStart`].
pub(crate) struct Reloaded {
    pub(crate) rules: Arc<Rules>,
    /// The SHA-256 of the file.
    pub(crate) digest: [u8; 32],
    /// The sections that have changed: `[worker]`, `[[account]]`.
    pub(crate) changed: Vec<String>,
    /// As [`Config::notices`].
    pub(crate) notices: Vec<String>,
}

impl SectionsAtStart {
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

    /// Reads `file` for its rules. The whole file must be free of mistakes. Other changes in the file are not in force, so
    /// the rules must do without them. Accounts are the exception, because a rule for an account that is not served does
    /// nothing.
    ///
    /// # Errors
    /// All mistakes in the file. If the file has none, the rules that need another change in the file.
    pub(crate) fn reload(&self, file: &Path) -> Result<Reloaded, ConfigErrors> {
        let loaded = super::load(file)?;
        let changed = self.differences(&loaded.at_start);
        let (rules, digest, notices) = (loaded.rules.current(), loaded.digest, loaded.notices);
        if changed.is_empty() {
            return Ok(Reloaded { rules, digest, changed, notices });
        }
        match self.resolve_with(loaded.rule_tables, file) {
            Ok(fitted) => Ok(Reloaded { rules: fitted.rules.current(), digest, changed, notices }),
            Err(mut errors) => {
                // Everything else was read at the start, so its present mistakes, such as a secret's missing file, do not
                // matter now.
                errors.problems.retain(|problem| problem.contains("[[rule]]"));
                let until = "with the rest of the file as it was at the program's start, which holds until a restart";
                errors.problems.iter_mut().for_each(|problem| *problem += &format!(" ({until})"));
                if errors.problems.is_empty() { Ok(Reloaded { rules, digest, changed, notices }) } else { Err(errors) }
            }
        }
    }

    fn resolve_with(&self, RuleTables(rules): RuleTables, file: &Path) -> Result<Config, ConfigErrors> {
        let Sections { tables, accounts, .. } = &*self.0;
        let (mut tables, accounts) = (tables.clone(), accounts.clone());
        tables.extend(rules.map(|rules| ("rule".to_owned(), rules)));
        resolve(Source { tables, accounts, digest: [0; 32], any_account: true }, file, Problems::default())
    }

    fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (&self.0.digests, &other.0.digests);
        let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
        names.filter(|name| ours.get(*name) != theirs.get(*name)).cloned().collect()
    }
}

/// Adds a key and its value, each with its length or its count, so that no two configurations have the same digest.
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

impl fmt::Debug for SectionsAtStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SectionsAtStart")
    }
}

impl fmt::Debug for RuleTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuleTables")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::super::load_with;
    use super::*;

    const GOOD: &str = "[queue]\nurl = \"embedded:data\"\n[store]\nurl = \"embedded:data\"\n[[account]]\n\
        appid = \"wx1\"\nsecret_file = \"secret\"\ntoken = \"hush\"\nmode = \"plain\"\n";
    const RULE: &str = "[[rule]]\nwhen = {}\nignore = true\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write("secret", "hush");
            folder
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::write(&path, text).unwrap();
            path
        }

        fn load(&self, text: &str, environment: &[(&str, &str)]) -> SectionsAtStart {
            let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
            load_with(&self.write("kefu.toml", text), environment).unwrap().at_start
        }
    }

    #[test]
    fn what_has_changed_is_told_by_its_section_and_rules_are_no_change() {
        let folder = Folder::new();
        let at_start = folder.load(GOOD, &[]);
        let none: [&str; 0] = [];
        assert_eq!(at_start.differences(&folder.load(&format!("{GOOD}{RULE}"), &[])), none);
        assert_eq!(at_start.differences(&folder.load(&format!("# comment\n{GOOD}"), &[])), none);
        assert_eq!(at_start.differences(&folder.load(&GOOD.replace("hush", "other"), &[])), ["[[account]]"]);
        assert_eq!(
            at_start.differences(&folder.load(&format!("[worker]\nconcurrency = 1\n{GOOD}"), &[])),
            ["[worker]"]
        );
        let environment = [("KEFU__QUEUE__PREFETCH", "7")];
        assert_eq!(at_start.differences(&folder.load(GOOD, &environment)), ["[queue]"]);
        folder.write("secret", "another");
        assert_eq!(at_start.differences(&folder.load(GOOD, &[])), ["[[account]]"]);
    }

    #[test]
    fn nothing_of_it_shows() {
        assert!(!format!("{:?}", Folder::new().load(GOOD, &[])).contains("hush"));
    }

    #[test]
    fn a_rule_for_an_account_that_is_not_served_yet_is_taken() {
        let folder = Folder::new();
        let at_start = folder.load(GOOD, &[]);
        let second = GOOD.split_once("[[account]]").unwrap().1.replace("wx1", "wx2");
        let rule = "[[rule]]\nwhen = { account = \"wx2\" }\nignore = true\n";
        let file = folder.write("kefu.toml", &format!("{GOOD}[[account]]{second}{rule}"));
        let reloaded = at_start.reload(&file).unwrap();
        assert_eq!((reloaded.rules.iter().len(), reloaded.changed), (1, vec!["[[account]]".to_owned()]));
    }
}
