use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::testing::envelope;
use tempfile::TempDir;

use super::*;
use kefu_queue::dead_letters::DeadLetter;
use kefu_queue::{DeadReason, Delivery, QueueError, Settlement, Turn};

mod delivering;
mod outages;
mod reopening;
mod settling;

const MINUTE: Duration = Duration::from_secs(60);

struct Queue {
    folder: TempDir,
    database: Database,
    queue: EmbeddedQueue,
    publisher: Arc<dyn Publisher>,
}

impl Queue {
    async fn open() -> Self {
        Self::reopen(tempfile::tempdir().unwrap()).await
    }

    async fn reopen(folder: TempDir) -> Self {
        let database = Database::open(folder.path()).unwrap();
        Self::on(folder, database).await
    }

    async fn on(folder: TempDir, database: Database) -> Self {
        let queue = EmbeddedQueue::open(&database).await.unwrap();
        let publisher = queue.publisher(4);
        Self { folder, database, queue, publisher }
    }

    /// Closes the queue and waits until it is closed.
    async fn close(self) -> TempDir {
        drop((self.publisher, self.queue));
        self.database.close().await;
        self.folder
    }

    async fn publish(&self, user: &str, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            self.publisher.publish(&envelope(user, id), Turn::unordered()).await.unwrap();
        }
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        let mut walk = self.queue.dead_letters().walk().await.unwrap();
        let mut letters = Vec::new();
        while let Some(letter) = walk.next().await.unwrap() {
            letters.push(letter);
        }
        letters
    }

    fn consumer(&self, prefetch: u16) -> Box<dyn Consumer> {
        self.queue.consumer(4, ConsumerOptions { id: "test".to_owned(), prefetch, seat: None })
    }
}

/// The next delivery; fails if there is none.
async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    tokio::time::timeout(Duration::from_secs(10), consumer.next()).await.unwrap().unwrap()
}

fn id(delivery: &Delivery) -> u32 {
    delivery.envelope.as_ref().unwrap().push.msg_id.as_ref().unwrap().parse().unwrap()
}

/// Takes and settles deliveries, and returns their messages, and whether they were redelivered.
async fn drain(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<(u32, bool)> {
    let mut drained = Vec::new();
    for _ in 0..count {
        let delivery = next(consumer).await;
        drained.push((id(&delivery), delivery.redelivered));
        delivery.settle(Settlement::Done).await.unwrap();
    }
    drained
}
