//! Why something failed: words for the operator, and the error behind them.

use std::sync::Arc;

/// Words for the operator, without secrets, users' texts or openids. If the failure comes from the HTTP client, its error
/// is the source, without the URL, which may have a secret in its query. [`kefu_runtime::in_words`] says both.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{words}")]
pub struct Why {
    words: String,
    #[source]
    cause: Option<Arc<reqwest::Error>>,
}

impl Why {
    pub(crate) fn caused_by(error: reqwest::Error, words: impl Into<String>) -> Self {
        Self { words: words.into(), cause: Some(Arc::new(error.without_url())) }
    }
}

impl From<String> for Why {
    fn from(words: String) -> Self {
        Self { words, cause: None }
    }
}

impl From<&str> for Why {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}
