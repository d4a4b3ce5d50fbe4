//! State in the database file of one process.
//!
//! Every call is one work on the rows of the file, so each method is atomic by itself. Most changes are
//! durable before the call returns. Usual claims, leases and the counts of windows do not wait: a claim or a lease ends with
//! the process anyway, and the count of a reply is durable with the record that the reply was sent. The end of a message is
//! durable before its settlement. Entries expire by
//! the database's clock. An expired entry counts as absent at once, and leaves the file later.
//!
//! Claims, leases and locks end with the process that took them: each is marked with its opening of the file, and counts
//! for nothing in a later opening.

use std::sync::Arc;

use async_trait::async_trait;
use kefu_runtime::Cause;

use crate::database::Transaction;
use crate::{Database, DatabaseError};
use kefu_store::{Probe, StoreError, Stores};

mod claims;
mod conversations;
mod ledger;
mod media;
mod messages;
mod order;
mod shelf;
#[cfg(test)]
mod tests;
mod tokens;
mod windows;

/// All stores on `database`. They keep the database open.
pub fn open(database: &Database) -> Stores {
    Stores::on(Arc::new(EmbeddedStore { database: database.clone() }))
}

struct EmbeddedStore {
    database: Database,
}

/// Why a transaction's work did not complete.
enum Failure {
    /// An error of the file: fails the whole batch.
    Storage(redb::Error),
    /// An entry that this version did not write: fails the caller alone. Nothing was changed.
    Corrupt(Cause),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Storage(error.into())
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Unavailable(Cause::new(error.to_string(), &error))
    }
}

impl EmbeddedStore {
    /// Runs `work`, and returns once its changes are on the disk. The argument of `work` is the time (milliseconds since the
    /// epoch).
    async fn change<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction, u64) -> Result<T, Failure>,
    {
        let clock = self.database.clock();
        self.database.change(|transaction| outcome_of(work(transaction, clock.now_ms()))).await?
    }

    /// As [`EmbeddedStore::change`], but does not wait for the disk: see [`Database::change_soon`].
    fn change_soon<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Transaction, u64) -> Result<T, Failure>,
    {
        let clock = self.database.clock();
        self.database.change_soon(|transaction| outcome_of(work(transaction, clock.now_ms())))?
    }

    /// Runs a `work` that changes nothing.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Transaction, u64) -> Result<T, Failure>,
    {
        self.change_soon(work)
    }
}

fn outcome_of<T>(worked: Result<T, Failure>) -> Result<Result<T, StoreError>, redb::Error> {
    match worked {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Corrupt(what)) => Ok(Err(StoreError::Corrupt(what))),
        Err(Failure::Storage(error)) => Err(error),
    }
}

#[async_trait]
impl Probe for EmbeddedStore {
    /// An empty write: it meets a full or failing disk, which a read from the cache would not.
    async fn probe(&self) -> Result<(), StoreError> {
        Ok(self.database.write(|_| Ok(())).await?)
    }
}
