//! The worker: takes messages off the queue and sends the replies through WeChat's API.
//!
//! ```text
//! lanes -> handle: claim -> plan -> send -> keep the picture -> settle
//!                                   send: for each step token, media_id, begin, custom/send, sent
//! ```
//!
//! `handle` gives the attempt to each stage. A stage returns its result, or the outcome that ends the attempt. No stage
//! knows `handle` or `lanes`. The plan stage may fetch a user's picture, and WeChat can refuse a fetch for the same
//! reasons as a send.
//!
//! The ledger knows of each step before the worker sends the step, so a message that the queue delivers again goes on
//! where its last attempt stopped.

use std::sync::Arc;
use std::time::Duration;

use kefu_program::backend::{Backend, BackendError};
use kefu_program::config::Config;
use kefu_program::internal::Readiness;
use kefu_queue::ConsumerOptions;
use kefu_runtime::Cause;
use kefu_runtime::health::Health;
use kefu_store::Probe;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

mod attempt;
mod concurrency;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handle;
mod lanes;
mod lease;
mod metric;
mod order;
mod outage;
mod outcome;
mod picture;
mod plan;
mod seat;
mod send;
mod settle;
#[cfg(test)]
mod testing;
mod timings;
mod wechat;

pub use wechat::probe;

use handle::{Asked, Handler};
use lanes::dispatch;
use lanes::dispatch::{ConsumerEnded, QueueHealth};
use plan::assistant::Assistant;
use plan::assistant::client::HttpCompletions;
use plan::webhook::AskedWebhooks;
use seat::Seated;
use timings::Timings;
use wechat::client::HttpTransport;

/// Why a worker could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The queue, the store or the embedded database cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The HTTP client could not be set up.
    #[error(transparent)]
    Client(Cause),
    /// The consumer of the queue ended by itself.
    #[error("the queue hands out no more messages, and nobody asked the worker to stop: a fault of kefu, report it")]
    ConsumerEnded,
}

/// A worker that has not started its work.
pub struct Worker {
    config: Arc<Config>,
    handler: Arc<Handler>,
    backend: Backend,
    id: String,
    health: QueueHealth,
    shutdown: CancellationToken,
    grace: Duration,
}

impl Worker {
    /// Puts a worker together and adds its checks to `readiness`.
    ///
    /// # Errors
    /// When the configuration cannot be used. A server that is down is no error: the worker waits for the server.
    pub fn new(
        config: Arc<Config>,
        backend: &Backend,
        readiness: &Readiness,
        shutdown: CancellationToken,
    ) -> Result<Self, WorkerError> {
        metric::describe();
        // The id is new at each start: a restarted worker is another owner of leases and another consumer.
        let id = Uuid::new_v4().to_string();
        let transport = Arc::new(HttpTransport::new(&config.wechat).map_err(WorkerError::Client)?);
        let assistant = config.assistant.clone().map(|assistant| {
            let completions = HttpCompletions::new(&assistant).map_err(WorkerError::Client)?;
            Ok::<_, WorkerError>(Arc::new(Assistant::new(assistant, Arc::new(completions))))
        });
        let assistant = assistant.transpose()?;
        let grace = config.worker.grace;
        let webhooks = AskedWebhooks::new(&config).map_err(WorkerError::Client)?;
        let asked = Asked { webhooks, assistant };
        let (stores, timings) = (&backend.stores, Timings::default());
        let handler = Handler::new(config.clone(), id.clone(), stores, transport, asked, timings, shutdown.clone());
        let handler = Arc::new(handler);
        let health = QueueHealth::new();
        add_checks(readiness, &health, &backend.stores.probe, &config, &handler);
        Ok(Self { config, handler, backend: backend.clone(), id, health, shutdown, grace })
    }

    /// Handles messages until the shutdown. Then the worker ends the messages in work, within `[worker] grace_ms`,
    /// gives all other messages back to the queue and returns.
    ///
    /// # Errors
    /// When the queue cannot be used as it is configured, or the consumer ended by itself.
    pub async fn run(self) -> Result<(), WorkerError> {
        let Self { config, handler, backend, id, health, shutdown, grace } = self;
        let seated = match &backend.stores.seats {
            Some(seats) => Seated::take(seats, &id, &shutdown).await,
            None => None,
        };
        let seat = seated.as_ref().map(|seated| seated.seat);
        let options = ConsumerOptions { id: id.clone(), prefetch: config.prefetch(), seat };
        let consumer = backend.consumer(options)?;
        tracing::info!(worker = id, seat, accounts = config.accounts.iter().count(), "taking messages");
        let end = dispatch::dispatch(handler, consumer, health, shutdown, grace).await;
        if let Some(seated) = seated {
            seated.leave().await;
        }
        tracing::info!("stopped");
        end.map_err(|ConsumerEnded| WorkerError::ConsumerEnded)
    }
}

fn add_checks(
    readiness: &Readiness,
    queue: &QueueHealth,
    store: &Arc<dyn Probe>,
    config: &Config,
    handler: &Arc<Handler>,
) {
    let queue = queue.clone();
    readiness.add("worker_queue", true, move || {
        let health = queue.get();
        Box::pin(async move { health })
    });
    readiness.add_store("worker_store", true, Arc::clone(store));
    let rules = config.rules.clone();
    readiness.add("worker_rules", false, move || {
        let health = rules.health();
        Box::pin(async move { health })
    });
    let paused = Arc::clone(handler);
    readiness.add("worker_accounts", false, move || {
        let words = [paused.sender.pauses.in_words(), paused.pictures.fetch.pauses.in_words()];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let health = if words.is_empty() { Health::Up } else { Health::Down(words.join("; ")) };
        Box::pin(async move { health })
    });
    if let Some(assistant) = handler.planner.assistant.assistant.clone() {
        readiness.add("worker_assistant", false, move || {
            let health = assistant.standing.in_words().map_or(Health::Up, Health::Down);
            Box::pin(async move { health })
        });
    }
    let webhooks = Arc::clone(handler);
    readiness.add("worker_webhooks", false, move || {
        let health = webhooks.planner.webhooks.asked.in_words().map_or(Health::Up, Health::Down);
        Box::pin(async move { health })
    });
    let wechat = Arc::clone(&handler.sender.wechat);
    readiness.add("worker_wechat", false, move || {
        let health = wechat.reach.in_words().map_or(Health::Up, Health::Down);
        Box::pin(async move { health })
    });
}
