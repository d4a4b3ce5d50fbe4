//! The way of a push: to the broker, or into the spool.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_embedded::DatabaseError;
use kefu_messages::envelope::Envelope;
use kefu_messages::partition::Partition;
use kefu_queue::{Publisher, QueueError, Turn, Turns};
use kefu_runtime::Cause;
use kefu_runtime::clock::now_ms;
use kefu_runtime::health::Health;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::state::{Figures, State, Way};
use super::{Settings, metric};

/// How often an overdue push checks whether the spool takes it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The publisher of ingress.
pub struct Spool {
    pub(super) broker: Arc<dyn Publisher>,
    /// The turns of users at the broker. A push that goes into the spool leaves its turn to what the broker may still have
    /// of it.
    pub(super) broker_turns: Arc<Turns>,
    pub(super) state: Arc<State>,
    pub(super) locks: Vec<PartitionLock>,
    /// All tasks that run beside the callers.
    pub(super) tasks: TaskTracker,
    pub(super) closing: CancellationToken,
    pub(super) patience: Duration,
    /// A write must end even if the caller's thread ends.
    runtime: Handle,
}

/// The lock of one partition's rows in the file, and the signal for its relay.
#[derive(Default)]
pub(super) struct PartitionLock {
    /// Held while a push is written.
    writing: Arc<Mutex<()>>,
    /// Notified when there is something to relay.
    pub(super) filled: Arc<Notify>,
}

impl Spool {
    pub(super) fn new(broker: Arc<dyn Publisher>, settings: &Settings) -> Self {
        Self {
            broker,
            broker_turns: Arc::default(),
            state: Arc::new(State::new(settings.max_bytes, settings.patience * 5, settings.partitions.max(1))),
            locks: (0..settings.partitions.max(1)).map(|_| PartitionLock::default()).collect(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            patience: settings.patience,
            runtime: Handle::current(),
        }
    }

    /// The state of the spool itself, for `/readyz`: up while the spool is empty and usable.
    pub fn spool_health(&self) -> Health {
        let figures = self.state.figures();
        let Figures { away, trouble, waiting, bytes, oldest_ms, .. } = &figures;
        match trouble {
            Some(trouble) => Health::Down(format!("the spool cannot be used: {trouble}")),
            None if *away || *waiting > 0 => {
                let oldest = oldest_ms.map_or(0, |oldest| now_ms().saturating_sub(oldest) / 1_000);
                Health::Down(format!(
                    "{waiting} messages wait for the broker, {bytes} bytes, the oldest for {oldest} s"
                ))
            }
            None => Health::Up,
        }
    }

    /// Asks the broker until it has confirmed the message.
    async fn ask(&self, broker: &dyn Publisher, envelope: &Envelope) {
        let turn = self.broker_turns.take(envelope).await;
        while let Err(error) = broker.publish(envelope, turn.clone()).await {
            tracing::debug!(key = %envelope.key, %error, "not published");
            sleep(self.patience / 20).await;
        }
    }

    /// Writes a push to the spool. Returns whether the push is written.
    ///
    /// The write runs on a task of its own: if the caller gives up, the user's next push must not be written before the
    /// outcome of this write is known.
    async fn write(&self, partition: Partition, envelope: &Envelope, turn: Turn) -> Result<bool, QueueError> {
        let body = envelope.to_json();
        let state = self.state.clone();
        let PartitionLock { writing, filled } = &self.locks[usize::from(partition.index())];
        let (writing, filled) = (writing.clone(), filled.clone());
        let write = async move {
            let _turn = turn;
            let _writing = writing.lock().await;
            let Ok(place) = state.place(partition, &body) else { return false };
            let spooled_at_ms = now_ms();
            let outcome = place.file.append(partition, place.number, spooled_at_ms, body).await;
            let is_written = outcome.is_ok();
            state.written(&place, spooled_at_ms, outcome);
            filled.notify_one();
            is_written
        };
        let written = self.tasks.spawn_on(write, &self.runtime).await;
        written.map_err(|ended| {
            QueueError::Unavailable(Cause::from(DatabaseError::from(ended).to_string()).at("the spool"))
        })
    }

    /// Publishes to `broker`, or writes to the spool.
    async fn publish_to(&self, broker: &dyn Publisher, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        let overdue_at = Instant::now() + self.patience;
        let partition = envelope.partition(self.locks.len() as u16);
        let mut changes = self.state.changes();
        // Continues between the rounds: a new call in its place would publish the message twice.
        let mut confirmed = pin!(self.ask(broker, envelope));
        loop {
            if self.closing.is_cancelled() {
                return Err(QueueError::Unavailable("the publisher is closed".into()));
            }
            changes.mark_unchanged();
            let overdue = Instant::now() >= overdue_at;
            let way = self.state.way(partition, overdue);
            if way == Way::Spool {
                if self.write(partition, envelope, turn.clone()).await? {
                    metric::spooled();
                    return Ok(());
                }
                continue;
            }
            let again = if overdue { Instant::now() + LOOK_AGAIN } else { overdue_at };
            tokio::select! {
                biased;
                () = &mut confirmed, if way == Way::Broker => {
                    self.state.set_away(false);
                    return Ok(());
                }
                _ = changes.changed() => {}
                () = self.closing.cancelled() => {}
                () = sleep_until(again) => {}
            }
        }
    }
}

#[async_trait]
impl Publisher for Spool {
    async fn publish(&self, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        self.publish_to(&*self.broker, envelope, turn).await
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        Arc::new(LocalSpool { broker: self.broker.clone().local(), spool: self })
    }

    fn health(&self) -> Health {
        if self.closing.is_cancelled() {
            return Health::Down("the publisher is closed".to_owned());
        }
        let figures = self.state.figures();
        let broker = match self.broker.health() {
            Health::Up if figures.away => "the broker confirms nothing".to_owned(),
            Health::Down(why) => why,
            other => return other,
        };
        match (figures.is_open, figures.trouble) {
            (true, None) => Health::Degraded(format!("{broker}; pushes go to the spool")),
            (_, trouble) => {
                let trouble = trouble.unwrap_or_else(|| "it is not open".to_owned());
                Health::Down(format!("{broker}; and the spool cannot be used: {trouble}"))
            }
        }
    }

    async fn close(&self, within: Duration) {
        let give_up_at = Instant::now() + within;
        self.closing.cancel();
        self.tasks.close();
        if timeout(within, self.tasks.wait()).await.is_err() {
            tracing::warn!("closing the spool with work under way");
        }
        self.broker.close(give_up_at.saturating_duration_since(Instant::now())).await;
        let closed = async {
            for file in self.state.close() {
                if let Some(file) = Arc::into_inner(file) {
                    file.close().await;
                }
            }
        };
        if tokio::time::timeout_at(give_up_at, closed).await.is_err() {
            tracing::warn!("the spool is still being closed");
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// The spool for the callers of one thread: the spool is the same, and the way to the broker is the thread's own.
struct LocalSpool {
    spool: Arc<Spool>,
    broker: Arc<dyn Publisher>,
}

#[async_trait]
impl Publisher for LocalSpool {
    async fn publish(&self, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        self.spool.publish_to(&*self.broker, envelope, turn).await
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        self.spool.clone().local()
    }

    fn health(&self) -> Health {
        self.spool.health()
    }

    async fn close(&self, within: Duration) {
        self.broker.close(within).await;
    }
}
