//! State in the database file of one process.
//!
//! Every change is one write of [`Database`], durable before the call returns. The writes come one after the other, so each
//! method is atomic by itself. Entries expire by the database's clock. An expired entry counts as absent at once, and
//! leaves the file with later writes (each write removes up to two).
//!
//! Claims, leases and locks end with the process that took them: each is marked with its opening of the file, and counts
//! for nothing in a later opening.

use std::sync::Arc;

use async_trait::async_trait;
use kefu_runtime::Cause;
use redb::{ReadTransaction, WriteTransaction};

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

/// How many expired entries a write removes from the file: more than the one that it may add, so that the file does not
/// grow with time.
const PURGED_PER_WRITE: usize = 2;

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
    /// Runs `work` in a transaction. The argument of `work` is the time (milliseconds since the epoch).
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction, u64) -> Result<T, Failure> + Send + 'static,
    {
        let clock = self.database.clock().clone();
        let outcome = self.database.write(move |transaction| {
            let now_ms = clock.now_ms();
            outcome_of(work(transaction, now_ms).and_then(|value| {
                shelf::purge(transaction, now_ms, PURGED_PER_WRITE)?;
                Ok(value)
            }))
        });
        outcome.await?
    }

    /// Runs `work` on a snapshot.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTransaction, u64) -> Result<T, Failure> + Send + 'static,
    {
        let now_ms = self.database.clock().now_ms();
        self.database.read(move |transaction| outcome_of(work(transaction, now_ms))).await?
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
