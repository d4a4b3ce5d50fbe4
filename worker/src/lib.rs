//! The worker: takes messages off the queue and sends the replies through WeChat's API.
//!
//! ```text
//! lanes -> handle: claim -> plan -> send -> keep the picture -> settle
//!                                   send: for each step token, media_id, begin, custom/send, sent
//! ```
//!
//! `handle` gives the attempt to the stages plan, send and picture, and the outcome to settle. A stage returns its
//! result, or the outcome that ends the attempt. No stage knows `handle` or `lanes`. The plan stage may fetch a user's
//! picture, and WeChat can refuse a fetch for the same reasons as a send.
//!
//! The ledger knows of each step before the worker sends the step, so a message that the queue delivers again goes on
//! where its last attempt stopped.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use kefu_program::backend::{Backend, BackendError};
use kefu_program::config::Config;
use kefu_program::internal::Readiness;
use kefu_queue::ConsumerOptions;
use kefu_runtime::Cause;
use kefu_runtime::health::Health;
use kefu_store::Probe;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
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
mod wechat;

pub use wechat::failure::{Failure, Refusal};
pub use wechat::{Callback, WeChat};

use handle::Handler;
use lanes::dispatch::dispatch;
use plan::assistant::client::{Completions, HttpCompletions};
use seat::Seated;
use wechat::client::HttpTransport;

/// Why a worker could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The queue, the store or the embedded database cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// An HTTP client could not be set up.
    #[error(transparent)]
    Client(#[from] Cause),
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
    /// The queue's health as of a moment ago; the consumer cannot be asked while it waits for deliveries.
    health: watch::Sender<Health>,
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
        let transport = Arc::new(HttpTransport::new(&config.wechat)?);
        let completions = config.assistant.as_ref().map(HttpCompletions::new).transpose()?;
        let completions = completions.map(|completions| Arc::new(completions) as Arc<dyn Completions>);
        let (stores, grace) = (&backend.stores, config.worker.grace);
        let handler = Handler::new(config.clone(), id.clone(), stores, transport, completions, shutdown.clone())?;
        let handler = Arc::new(handler);
        let (health, seen) = watch::channel(Health::Down("not connected yet".to_owned()));
        add_checks(readiness, seen, &backend.stores.probe, &config, &handler);
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
        // A task of its own, since the runtime's threads wake the thread of the caller through the system only.
        let dispatching = tokio::spawn(dispatch(handler, consumer, health, shutdown, grace));
        let end = AbortOnDropHandle::new(dispatching).await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this call with it.
            Err(_) => Ok(()),
        });
        if let Some(seated) = seated {
            seated.leave().await;
        }
        tracing::info!("stopped");
        end
    }
}

fn add_checks(
    readiness: &Readiness,
    queue: watch::Receiver<Health>,
    store: &Arc<dyn Probe>,
    config: &Config,
    handler: &Arc<Handler>,
) {
    readiness.add("worker_queue", true, move || ready(queue.borrow().clone()).boxed());
    readiness.add_store("worker_store", true, Arc::clone(store));
    let rules = config.rules.clone();
    readiness.add("worker_rules", false, move || ready(rules.health()).boxed());
    let paused = Arc::clone(handler);
    add_degraded(readiness, "worker_accounts", move || {
        let words = [paused.sender.pauses.in_words(), paused.pictures.fetch.pauses.in_words()];
        words.into_iter().flatten().reduce(|sends, fetches| format!("{sends}; {fetches}"))
    });
    if let Some(assistant) = handler.planner.assistant.assistant.clone() {
        add_degraded(readiness, "worker_assistant", move || assistant.trouble_in_words());
    }
    let webhooks = Arc::clone(handler);
    add_degraded(readiness, "worker_webhooks", move || webhooks.planner.webhooks.breakers.in_words());
    let wechat = Arc::clone(&handler.sender.wechat);
    add_degraded(readiness, "worker_wechat", move || wechat.outage_in_words());
}

/// Adds the check of a part that is degraded while it has `words` for the operator.
fn add_degraded(readiness: &Readiness, name: &'static str, words: impl Fn() -> Option<String> + Send + Sync + 'static) {
    readiness.add(name, false, move || ready(words().map_or(Health::Up, Health::Down)).boxed());
}
