//! The queue in the database file of one process.
//!
//! Messages lie in three tables: ready ones in the order of their partition, those that wait for a retry by
//! the time at which they are due, dead letters. What is handed out, and to whom it still belongs, is known in memory
//! only: so after a restart everything that is not settled is simply read again.
//!
//! One consumer is active at a time; another one waits until that is closed or dropped, and goes on where it stopped.

use std::sync::Arc;

use super::{Consumer, ConsumerOptions, Publisher, QueueError};
use crate::embedded::{Database, DatabaseError};
use crate::partition::Partition;

mod backlog;
mod consumer;
mod dead;
mod publisher;
mod record;
mod settle;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use backlog::Backlog;
pub use dead::{DeadLetter, dead_letters};

/// A publisher that spreads the users over `partitions` partitions (at least 1).
pub fn publisher(database: &Database, partitions: u16) -> Arc<dyn Publisher> {
    database.backlog().expect_partitions(Partition::all(partitions.max(1)));
    Arc::new(publisher::EmbeddedPublisher::new(database.clone(), partitions))
}

/// A consumer of all partitions: the first `partitions`, and whatever the file still has of higher ones.
pub fn consumer(database: &Database, partitions: u16, options: ConsumerOptions) -> Box<dyn Consumer> {
    database.backlog().expect_partitions(Partition::all(partitions.max(1)));
    Box::new(consumer::EmbeddedConsumer::new(database.clone(), options))
}

impl From<DatabaseError> for QueueError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Full => Self::Blocked(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
