use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use kefu_messages::envelope::Envelope;
use kefu_messages::testing::envelope;
use kefu_queue::{QueueError, Turn, Turns};
use kefu_runtime::health::Health;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;

mod broker;
mod failures;
mod order;
mod restarts;
mod switching;

use broker::{Broker, Mode};

/// In place of the 2 s.
const PATIENCE: Duration = Duration::from_millis(100);

/// The time limit for an expected event.
const LONG: Duration = Duration::from_secs(20);

const PARTITIONS: u16 = 4;

fn settings(folder: &Path) -> Settings {
    Settings { folder: folder.to_owned(), max_bytes: 1 << 30, partitions: PARTITIONS, patience: PATIENCE }
}

struct Setup {
    broker: Arc<Broker>,
    spool: Arc<Spool>,
    turns: Arc<Turns>,
    folder: TempDir,
}

impl Setup {
    async fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap(), Broker::new()).await
    }

    async fn over(folder: TempDir, broker: Arc<Broker>) -> Self {
        let spool = open(broker.clone(), settings(folder.path())).await;
        Self { broker, spool, turns: Arc::default(), folder }
    }

    /// Ends the spool without closing it, and starts it again.
    async fn crash(self) -> Self {
        let Self { broker, spool, folder, .. } = self;
        end(spool).await;
        Self::over(folder, broker).await
    }

    async fn push(&self, user: &str, id: u32) {
        within(LONG, publish(&self.spool, &self.turns, &envelope(user, id))).await.unwrap();
    }

    /// A push of its own, which arrives now.
    async fn send(&self, user: &str, id: u32) -> JoinHandle<()> {
        let (spool, turns, envelope) = (self.spool.clone(), self.turns.clone(), envelope(user, id));
        let task = tokio::spawn(async move { publish(&spool, &turns, &envelope).await.unwrap() });
        tokio::task::yield_now().await;
        task
    }

    async fn empty(&self) {
        eventually("the spool is empty", || self.spool.spool_health() == Health::Up).await;
    }

    /// The broker is up again, and the spool becomes empty.
    async fn relays_all(&self) {
        self.broker.set(Mode::Up);
        self.empty().await;
    }

    fn waiting(&self) -> u64 {
        self.spool.state.figures().waiting
    }
}

/// Publishes in the turn of the user, as ingress does.
async fn publish(spool: &Spool, turns: &Turns, envelope: &Envelope) -> Result<(), QueueError> {
    spool.publish(envelope, turns.take(envelope).await).await
}

/// Drops the spool, and waits for its end: when a process is killed, the system releases its files at once.
async fn end(spool: Arc<Spool>) {
    let tasks = spool.tasks.clone();
    assert!(Arc::into_inner(spool).is_some(), "pushes are under way");
    tasks.close();
    within(LONG, tasks.wait()).await;
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, future).await.expect("it takes too long")
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LONG, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
