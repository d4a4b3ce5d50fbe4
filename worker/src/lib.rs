//! The worker: takes messages off the queue and sends the replies through WeChat's API.
//!
//! ```text
//! Consumer -> dispatch -> lanes (one a user) -> message: claim, plan, steps, settlement
//!                                                 step:  token, media_id, begin, custom/send, sent
//! ```
//!
//! Nothing is sent that the ledger does not know of first, so a message that is delivered again goes on where it
//! stopped.

use std::sync::Arc;
use std::time::Duration;

use kefu_shared::backend::{Backend, BackendError};
use kefu_shared::config::Config;
use kefu_shared::health::Health;
use kefu_shared::internal::Readiness;
use kefu_shared::queue::{Consumer, ConsumerOptions};
use kefu_shared::store::{Probe, Stores};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

mod backoff;
mod dispatch;
mod halt;
mod hold;
mod lanes;
mod message;
mod metric;
mod outage;
mod pauses;
mod slots;
mod step;
#[cfg(test)]
mod testing;
mod timings;
mod wechat;

use dispatch::{ConsumerEnded, QueueHealth};
use message::Handler;
use timings::Timings;
use wechat::client::{HttpTransport, Transport};

/// Why a worker could not start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The queue.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The HTTP client.
    #[error("{0}")]
    Client(String),
    /// The queue ended by itself.
    #[error("the queue hands out no more messages, and nobody asked the worker to stop: a fault of kefu, report it")]
    ConsumerEnded,
}

/// Handles messages until `shutdown`, then ends what is in work, for `config.worker.grace` at most, gives the rest back
/// to the queue and returns. Adds its checks to `readiness`.
///
/// # Errors
/// When the worker could not start, or the consumer ended by itself. Servers that are down, or go down, are waited for.
pub async fn run(
    config: Arc<Config>,
    backend: &Backend,
    readiness: &Readiness,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    // New at each start: a worker that starts again is another owner of leases and another consumer.
    let id = Uuid::new_v4().to_string();
    let transport = Arc::new(HttpTransport::new(&config.wechat).map_err(WorkerError::Client)?);
    let options = ConsumerOptions { id: id.clone(), prefetch: config.queue.prefetch };
    let consumer = backend.consumer(options)?;
    let worker = Worker { config, id, stores: backend.stores.clone(), transport, timings: Timings::default() };
    worker.run(consumer, readiness, shutdown).await
}

/// What a worker is put together from.
struct Worker {
    config: Arc<Config>,
    id: String,
    stores: Stores,
    transport: Arc<dyn Transport>,
    timings: Timings,
}

impl Worker {
    async fn run(
        self,
        consumer: Box<dyn Consumer>,
        readiness: &Readiness,
        shutdown: CancellationToken,
    ) -> Result<(), WorkerError> {
        metric::describe();
        let Self { config, id, stores, transport, timings } = self;
        let grace = config.worker.grace;
        tracing::info!(worker = id, accounts = config.accounts.iter().count(), "taking messages");
        let handler = Arc::new(Handler::new(config, id, &stores, transport, timings, shutdown.clone()));
        let health = QueueHealth::new();
        add_checks(readiness, &health, &stores.probe, &handler);
        let end = dispatch::dispatch(handler, consumer, health, shutdown, grace).await;
        tracing::info!("stopped");
        end.map_err(|ConsumerEnded| WorkerError::ConsumerEnded)
    }
}

/// How long a look at the store may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

fn add_checks(readiness: &Readiness, queue: &QueueHealth, store: &Arc<dyn Probe>, handler: &Arc<Handler>) {
    let queue = queue.clone();
    readiness.add("worker_queue", true, move || {
        let health = queue.get();
        Box::pin(async move { health })
    });
    let store = Arc::clone(store);
    readiness.add("worker_store", true, move || {
        let store = Arc::clone(&store);
        Box::pin(async move {
            match tokio::time::timeout(PROBE_LIMIT, store.probe()).await {
                Ok(Ok(())) => Health::Up,
                Ok(Err(error)) => Health::Down(error.to_string()),
                Err(_) => Health::Down("the store does not answer".to_owned()),
            }
        })
    });
    let pauses = Arc::clone(&handler.pauses);
    readiness.add("worker_accounts", false, move || {
        let health = pauses.in_words().map_or(Health::Up, Health::Down);
        Box::pin(async move { health })
    });
    let wechat = Arc::clone(&handler.wechat);
    readiness.add("worker_wechat", false, move || {
        let health = wechat.reach.in_words().map_or(Health::Up, Health::Down);
        Box::pin(async move { health })
    });
}
