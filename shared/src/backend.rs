//! Opens the pair of queue and store that the configuration names.

use std::sync::Arc;

use crate::config::{BackendUrls, Config};
use crate::queue::{Consumer, ConsumerOptions, Publisher};
use crate::store::Stores;

/// An opened backend. Clones share it.
#[derive(Clone)]
pub struct Backend {
    /// The seams to state.
    pub stores: Stores,
}

/// Why a backend could not be opened. Servers that are merely down are no error: their connections are made later.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Not written yet.
    #[error("not written yet")]
    Unwritten,
}

impl Backend {
    /// Opens what `config` names.
    pub async fn open(config: &Config) -> Result<Self, BackendError> {
        match &config.backend {
            BackendUrls::Servers { .. } | BackendUrls::Embedded(_) => Err(BackendError::Unwritten),
        }
    }

    /// A publisher of its own connection.
    pub async fn publisher(&self) -> Result<Arc<dyn Publisher>, BackendError> {
        Err(BackendError::Unwritten)
    }

    /// A consumer of its own connection.
    pub async fn consumer(&self, _options: ConsumerOptions) -> Result<Box<dyn Consumer>, BackendError> {
        Err(BackendError::Unwritten)
    }
}
