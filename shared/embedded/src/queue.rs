//! The queue in the database file of one process.
//!
//! Messages are in three tables: ready messages in the order of their partition, messages that wait for a retry by their
//! due time, and dead letters. Only the memory knows which messages are handed out, and to whom they still belong. So after
//! a restart the queue simply reads every unsettled message again.
//!
//! One consumer is active at a time. A second consumer waits until the first is closed or dropped, and continues there.

use std::sync::Arc;

use kefu_messages::partition::Partition;
use kefu_runtime::{Cause, Class};

use crate::{Database, DatabaseError};
use kefu_queue::dead_letters::DeadLetters;
use kefu_queue::{Consumer, ConsumerOptions, Publisher, QueueError};

mod backlog;
mod consumer;
mod dead_letters;
mod publisher;
mod record;
mod settle;
mod tables;
#[cfg(test)]
mod tests;

use backlog::Backlog;

/// The queue on a database. Clones share the queue.
#[derive(Clone)]
pub struct EmbeddedQueue {
    database: Database,
    backlog: Arc<Backlog>,
}

impl EmbeddedQueue {
    /// Opens the queue. Call this function once for a [`Database`]: two queues on one database do not see each other's
    /// messages.
    pub async fn open(database: &Database) -> Result<Self, DatabaseError> {
        let opened = database.write(tables::count_opening).await?;
        let backlog = Arc::new(Backlog::new(opened, database.change_soon(tables::found)?));
        Ok(Self { database: database.clone(), backlog })
    }

    /// The queue's database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A publisher that spreads the users over `partitions` partitions (at least 1).
    pub fn publisher(&self, partitions: u16) -> Arc<dyn Publisher> {
        self.backlog.expect_partitions(Partition::all(partitions.max(1)));
        Arc::new(publisher::EmbeddedPublisher::new(self.clone(), partitions))
    }

    /// A consumer of all partitions: the first `partitions`, and all higher partitions that the file still has.
    pub fn consumer(&self, partitions: u16, options: ConsumerOptions) -> Box<dyn Consumer> {
        self.backlog.expect_partitions(Partition::all(partitions.max(1)));
        Box::new(consumer::EmbeddedConsumer::new(self.clone(), options))
    }

    /// The dead letters. Call this method once: the walks of two `DeadLetters` do not wait for each other.
    pub fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(dead_letters::InTheFile::new(self.clone()))
    }
}

impl From<DatabaseError> for QueueError {
    fn from(error: DatabaseError) -> Self {
        let cause = Cause::new(error.to_string(), &error);
        match error.class() {
            Class::Throttled => Self::Blocked(cause),
            _ => Self::Unavailable(cause),
        }
    }
}
