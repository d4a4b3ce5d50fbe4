//! `[store]`

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// `[store]` as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Store {
    pub(super) url: Option<SecretString>,
    pub(super) url_file: Option<PathBuf>,
}
