//! The overrides of the environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::Problems;

const PREFIX: &str = "KEFU__";
const SEPARATOR: &str = "__";

/// A variable of the environment: its name in the original spelling, and its value.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

/// By key.
pub(super) type Keys = BTreeMap<String, Variable>;

/// kefu's variables, in lower case except for their values.
#[derive(Default)]
pub(super) struct Overrides {
    /// `KEFU__SECTION__KEY`, by section.
    pub(super) sections: BTreeMap<String, Keys>,
    /// `KEFU__ACCOUNT__APPID__KEY`, by appid: environments often change case, so appids here are all in one case.
    pub(super) accounts: BTreeMap<String, Keys>,
}

impl Overrides {
    /// Sorts the variables, and notes kefu's variables that override nothing.
    pub(super) fn read(environment: impl IntoIterator<Item = (OsString, OsString)>, problems: &mut Problems) -> Self {
        let mut overrides = Self::default();
        let mut wrong = BTreeMap::new();
        for (name, value) in environment {
            if !is_ours(&name) {
                continue;
            }
            let shown = name.to_string_lossy().into_owned();
            if let Err(problem) = overrides.add(name, value) {
                wrong.insert(shown, problem);
            }
        }
        for (name, problem) in wrong {
            problems.add(name, problem);
        }
        overrides
    }

    fn add(&mut self, name: OsString, value: OsString) -> Result<(), &'static str> {
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else {
            return Err("is not text in UTF-8");
        };
        let path = name[PREFIX.len()..].to_lowercase();
        let parts: Vec<&str> = path.split(SEPARATOR).collect();
        let (keys, key) = match parts[..] {
            ["account", appid, key] if !appid.is_empty() && !key.is_empty() => (self.accounts.entry(appid.into()), key),
            ["account", ..] => {
                return Err("must be KEFU__ACCOUNT__APPID__KEY, for example KEFU__ACCOUNT__WX0123__SECRET");
            }
            ["rule", ..] => return Err("kefu takes no rules from the environment: write them into the file"),
            [section, key] if !section.is_empty() && !key.is_empty() => (self.sections.entry(section.into()), key),
            _ => return Err("must be KEFU__SECTION__KEY, for example KEFU__QUEUE__URL"),
        };
        keys.or_default().insert(key.to_owned(), Variable { name, value });
        Ok(())
    }
}

fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
}
