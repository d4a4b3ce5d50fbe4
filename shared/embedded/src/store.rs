//! State in the database file of one process.
//!
//! Every change is one write of [`Database`], durable before the call returns. Writes are one after the other, so each
//! method is atomic by itself. Entries end on the database's clock; an entry that has ended is as good as absent at
//! once, and leaves the file with the writes that come after (each takes up to two along).
//!
//! Holds, leases and locks end with the process that took them: each is marked with the opening of the file that it is
//! from, and counts for nothing in a later one.

use std::sync::Arc;

use async_trait::async_trait;
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

/// How many ended entries a write takes out of the file: more than the one it may add, so that the file does not grow
/// with time.
const PURGED_PER_WRITE: usize = 2;

/// All stores on `database`. They keep it open.
pub fn open(database: &Database) -> Stores {
    let store = Arc::new(EmbeddedStore { database: database.clone() });
    Stores {
        claims: store.clone(),
        ledger: store.clone(),
        tokens: store.clone(),
        media: store.clone(),
        windows: store.clone(),
        messages: store.clone(),
        conversations: store.clone(),
        order: store.clone(),
        seats: None,
        probe: store,
    }
}

struct EmbeddedStore {
    database: Database,
}

/// Why a transaction's work did not come to its end.
enum Failure {
    /// The file: fails the whole batch.
    Storage(redb::Error),
    /// An entry that this version did not write: fails the caller alone. Nothing was changed.
    Corrupt(String),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Storage(error.into())
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl EmbeddedStore {
    /// Runs `work` in a transaction, at the time that it is given (milliseconds since the epoch).
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
    /// A write of nothing: it meets a full or failing disk, which a read out of the cache would not.
    async fn probe(&self) -> Result<(), StoreError> {
        Ok(self.database.write(|_| Ok(())).await?)
    }
}
