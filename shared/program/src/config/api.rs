//! `[api]`: who may send through kefu.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Problems, secret};

/// The fewest characters of a key.
const LEAST: usize = 16;

/// The most characters of a key, so that the key fits into a request's head beside the other headers.
const MOST: usize = 256;

/// `[api]` with a key: `/v1` exists.
#[derive(Debug, Clone)]
pub struct Api {
    /// The accepted keys: the present key, and the previous key if there is one. Visible ASCII.
    pub keys: Vec<SecretString>,
}

/// `[api]` as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiSection {
    key: Option<SecretString>,
    key_file: Option<PathBuf>,
    previous_key: Option<SecretString>,
    previous_key_file: Option<PathBuf>,
}

impl ApiSection {
    /// `None` without a key.
    pub(super) fn resolve(&self, folder: &Path, problems: &mut Problems) -> Option<Api> {
        let mut of = |name: &str, value: &Option<SecretString>, file: &Option<PathBuf>| {
            let key = secret::resolve("[api]", name, value.as_ref(), file.as_ref(), folder, problems)?;
            let text = key.expose_secret();
            if !(LEAST..=MOST).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                let text = format!("must be {LEAST} to {MOST} letters, digits or signs of ASCII, without blanks");
                problems.add(format!("[api] {name}"), text);
                return None;
            }
            Some(key)
        };
        let key = of("key", &self.key, &self.key_file);
        let previous = of("previous_key", &self.previous_key, &self.previous_key_file);
        if previous.is_some() && self.key.is_none() && self.key_file.is_none() {
            problems.missing("[api]", "key", "key is missing; previous_key is for the time while the key is changed");
        }
        let keys: Vec<SecretString> = key.into_iter().chain(previous).collect();
        (!keys.is_empty()).then_some(Api { keys })
    }
}
