//! Opens the queue and the store that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kefu_embedded::queue::EmbeddedQueue;
use kefu_embedded::{Database, DatabaseError};
use kefu_queue::dead_letters::DeadLetters;
use kefu_queue::{Consumer, ConsumerOptions, Publisher, rabbitmq};
use kefu_store::{StoreError, Stores};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::config::{BackendUrls, Config};
use crate::internal::Readiness;

/// An opened backend. Clones share the backend.
#[derive(Clone)]
pub struct Backend {
    /// The seams to state.
    pub stores: Stores,
    queue: Queue,
    partitions: u16,
}

#[derive(Clone)]
enum Queue {
    RabbitMq(rabbitmq::Settings),
    Embedded(EmbeddedQueue),
}

/// How long the close of an embedded backend's file may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Why a backend could not be opened. A server that is merely down is no error: connections are made when the server comes
/// up.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// `[queue]` cannot be used.
    #[error("[queue] {0}")]
    Queue(#[from] rabbitmq::SettingsError),
    /// `[store]` cannot be used.
    #[error("[store] {0}")]
    Store(#[from] StoreError),
    /// The embedded database cannot be opened.
    #[error("the embedded database: {0}")]
    Database(#[from] DatabaseError),
}

impl Backend {
    /// Opens the backend that `config` names.
    pub async fn open(config: &Config) -> Result<Self, BackendError> {
        let partitions = config.queue.partitions;
        let (stores, queue) = match &config.backend {
            BackendUrls::Servers { queue, store } => {
                let stores = kefu_store::redis::open(store.expose_secret()).await?;
                (stores, Queue::RabbitMq(rabbitmq::Settings::new(queue.clone(), partitions)))
            }
            BackendUrls::Embedded(folder) => {
                let folder = folder.clone();
                let opened = tokio::task::spawn_blocking(move || Database::open(&folder)).await;
                let database = opened.map_err(DatabaseError::from)??;
                (kefu_embedded::store::open(&database), Queue::Embedded(EmbeddedQueue::open(&database).await?))
            }
        };
        Ok(Self { stores, queue, partitions })
    }

    /// A publisher, on a connection of its own.
    pub fn publisher(&self) -> Result<Arc<dyn Publisher>, BackendError> {
        Ok(match &self.queue {
            Queue::RabbitMq(settings) => rabbitmq::publisher(settings)?,
            Queue::Embedded(queue) => queue.publisher(self.partitions),
        })
    }

    /// The publisher for ingress, with the spool if `config` names one. The spool has a check in `readiness`.
    pub async fn ingress_publisher(
        &self,
        config: &Config,
        readiness: &Readiness,
    ) -> Result<Arc<dyn Publisher>, BackendError> {
        let broker = self.publisher()?;
        let Some(folder) = config.ingress.spool.clone() else { return Ok(broker) };
        let settings = kefu_spool::Settings {
            folder,
            max_bytes: config.ingress.spool_max_bytes,
            partitions: kefu_spool::PARTITIONS,
            patience: kefu_spool::PATIENCE,
        };
        let spool = kefu_spool::open(broker, settings).await;
        let shown = spool.clone();
        readiness.add("ingress_spool", false, move || std::future::ready(shown.spool_health()).boxed());
        Ok(spool)
    }

    /// A consumer, on connections of its own.
    pub fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>, BackendError> {
        Ok(match &self.queue {
            Queue::RabbitMq(settings) => rabbitmq::consumer(settings, options)?,
            Queue::Embedded(queue) => queue.consumer(self.partitions, options),
        })
    }

    /// Closes the file of an embedded backend. An unclosed file must be checked at its next opening. Call this method when
    /// all work has ended: any later user finds the file closed.
    pub async fn end(self) {
        if let Queue::Embedded(queue) = self.queue {
            // A hanging disk must not keep the process alive.
            timeout(CLOSE_WITHIN, queue.database().clone().end()).await.ok();
        }
    }

    /// The dead letters. Call this method once.
    pub fn dead_letters(&self) -> Result<Arc<dyn DeadLetters>, BackendError> {
        Ok(match &self.queue {
            Queue::RabbitMq(settings) => rabbitmq::dead_letters(settings)?,
            Queue::Embedded(queue) => queue.dead_letters(),
        })
    }
}
