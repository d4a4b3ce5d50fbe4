//! Puts envelopes into the file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::Envelope;
use kefu_runtime::health::Health;
use tokio_util::task::TaskTracker;

use super::record::Record;
use super::{EmbeddedQueue, tables};
use kefu_queue::{Publisher, QueueError, Turn};

const CLOSED: &str = "the publisher is closed";

pub(super) struct EmbeddedPublisher {
    queue: EmbeddedQueue,
    partitions: u16,
    under_way: TaskTracker,
}

impl EmbeddedPublisher {
    pub(super) fn new(queue: EmbeddedQueue, partitions: u16) -> Self {
        Self { queue, partitions, under_way: TaskTracker::new() }
    }
}

#[async_trait]
impl Publisher for EmbeddedPublisher {
    async fn publish(&self, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        let token = self.under_way.token();
        if self.under_way.is_closed() {
            return Err(QueueError::Unavailable(CLOSED.into()));
        }
        if self.queue.database.is_crowded() {
            return Err(QueueError::Unavailable("the disk does not keep up".into()));
        }
        let partition = envelope.partition(self.partitions);
        let EmbeddedQueue { database, backlog } = self.queue.clone();
        let record = Record::new(partition, database.clock().now_ms(), envelope.to_json());
        let mut number = 0;
        let changed = database.change_then(
            |transaction| {
                number = backlog.next_number();
                tables::append(transaction, number, &record);
                Ok(())
            },
            // Both end once the caller has its answer. `close` waits for the token.
            |_| (token, turn),
        );
        // The consumer may have the message before it is durable: what the consumer does is durable after the message.
        backlog.appended(partition, number);
        Ok(changed.durable().await?)
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        Arc::new(LocalPublisher { all: self, under_way: TaskTracker::new() })
    }

    fn health(&self) -> Health {
        match self.under_way.is_closed() {
            true => Health::Down(CLOSED.to_owned()),
            false => self.queue.database.health(),
        }
    }

    async fn close(&self, within: Duration) {
        end(&self.under_way, within).await;
    }
}

/// Waits for the publishes under way. A publish that has not finished within that time is still written, but nobody waits
/// for it.
async fn end(under_way: &TaskTracker, within: Duration) {
    under_way.close();
    tokio::time::timeout(within, under_way.wait()).await.ok();
}

/// The publisher for the callers of one thread. Closing it leaves the publishers of other threads open.
struct LocalPublisher {
    all: Arc<EmbeddedPublisher>,
    under_way: TaskTracker,
}

#[async_trait]
impl Publisher for LocalPublisher {
    async fn publish(&self, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        let _token = self.under_way.token();
        self.all.publish(envelope, turn).await
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        self.all.clone().local()
    }

    fn health(&self) -> Health {
        self.all.health()
    }

    async fn close(&self, within: Duration) {
        end(&self.under_way, within).await;
    }
}
