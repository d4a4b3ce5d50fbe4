//! The merged tree of file and environment, and its pieces as typed values.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use config::{ConfigError, Environment, File, FileFormat, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::Problems;
use super::account::AccountSection;

const PREFIX: &str = "KEFU";
const SEPARATOR: &str = "__";
const ACCOUNT_PREFIX: &str = "KEFU__ACCOUNT__";

/// What is left of the configuration while its pieces are taken out.
pub(super) struct Source {
    tree: HashMap<String, Value>,
    /// Overrides by appid (lower case, as environments often change case), then key.
    accounts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Source {
    pub(super) fn read(
        file: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        problems: &mut Problems,
    ) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
        let mut accounts: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut others = HashMap::new();
        for (name, value) in environment {
            let Some(rest) = name.strip_prefix(ACCOUNT_PREFIX) else {
                others.insert(name, value);
                continue;
            };
            let Some((appid, key)) = rest.split_once(SEPARATOR) else {
                problems.add(format!("the environment's {name}"), format!("must be {ACCOUNT_PREFIX}APPID__KEY"));
                continue;
            };
            accounts.entry(appid.to_lowercase()).or_default().insert(key.to_lowercase(), value);
        }
        let overrides = Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR);
        let tree = config::Config::builder()
            .add_source(File::from_str(&text, FileFormat::Toml))
            .add_source(overrides.source(Some(others)))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| syntax_error(&error))?;
        Ok(Self { tree, accounts })
    }

    /// The table `[name]`, or its defaults when it is absent or wrong.
    pub(super) fn section<T: DeserializeOwned + Default>(&mut self, name: &str, problems: &mut Problems) -> T {
        let value = self.tree.remove(name);
        value.and_then(|value| typed(value, &format!("[{name}]"), problems)).unwrap_or_default()
    }

    /// The tables `[[name]]`, each with its place in words; wrong ones are left out.
    pub(super) fn list<T: DeserializeOwned>(&mut self, name: &str, problems: &mut Problems) -> Vec<(String, T)> {
        let values = self.values(name, problems);
        let typed = values.into_iter().filter_map(|(place, value)| {
            let item = typed(value, &place, problems)?;
            Some((place, item))
        });
        typed.collect()
    }

    /// `[[account]]` with the overrides of the environment.
    pub(super) fn accounts(&mut self, problems: &mut Problems) -> Vec<(String, AccountSection)> {
        let mut overrides = std::mem::take(&mut self.accounts);
        let mut tables = self.values("account", problems);
        for (_, table) in &mut tables {
            let ValueKind::Table(table) = &mut table.kind else { continue };
            let appid = table.get("appid").map(|appid| appid.to_string().to_lowercase()).unwrap_or_default();
            table.extend(overrides.remove(&appid).unwrap_or_default().into_iter().map(environment_entry));
        }
        for (appid, entries) in overrides {
            let place = format!("the environment's account {appid}");
            let appid = ("appid".to_owned(), appid);
            let table: config::Map<String, Value> = entries.into_iter().chain([appid]).map(environment_entry).collect();
            tables.push((place, table.into()));
        }
        let typed = tables.into_iter().filter_map(|(place, value)| {
            let account = typed(value, &place, problems)?;
            Some((place, account))
        });
        typed.collect()
    }

    /// Notes every top-level name that nobody took.
    pub(super) fn report_unknown(self, problems: &mut Problems) {
        let mut names: Vec<String> = self.tree.into_keys().collect();
        names.sort_unstable();
        for name in names {
            problems.add(name, "there is no such section or key");
        }
    }

    fn values(&mut self, name: &str, problems: &mut Problems) -> Vec<(String, Value)> {
        let Some(value) = self.tree.remove(name) else { return Vec::new() };
        let Ok(values) = value.into_array() else {
            problems.add(name, format!("must be written as [[{name}]]"));
            return Vec::new();
        };
        values.into_iter().enumerate().map(|(index, value)| (format!("[[{name}]] {}", index + 1), value)).collect()
    }
}

fn environment_entry((key, value): (String, String)) -> (String, Value) {
    (key, Value::new(Some(&"the environment".to_owned()), value))
}

/// Reads a piece and notes what is wrong or unknown in it.
fn typed<T: DeserializeOwned>(value: Value, place: &str, problems: &mut Problems) -> Option<T> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let watched = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(watched, |path| unknown.push(readable(&path.to_string())));
    for key in unknown {
        problems.add(place, format!("there is no key `{key}`"));
    }
    match result {
        Ok(typed) => Some(typed),
        Err(error) => {
            let path = readable(&track.path().to_string());
            match path.is_empty() {
                true => problems.add(place, plain(&error)),
                false => problems.add(place, format!("{path}: {}", plain(&error))),
            }
            None
        }
    }
}

/// serde_ignored writes `?` for an Option or newtype, serde_path_to_error a lone dot for the root.
fn readable(path: &str) -> String {
    path.replace(".?", "").trim_matches(['?', '.']).to_owned()
}

/// The message of a type error without its value, which may be a secret.
fn plain(error: &ConfigError) -> String {
    match error {
        ConfigError::Type { expected, .. } => format!("must be {expected}"),
        ConfigError::At { error, .. } => plain(error),
        other => {
            let text = other.to_string();
            match text.strip_prefix("invalid ").and_then(|text| text.rsplit_once(", expected ")) {
                Some((_, expected)) => format!("must be {expected}"),
                None => text,
            }
        }
    }
}

/// Where the TOML is wrong. The parser's own message shows the line, which may hold a secret.
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
