//! Tables whose entries expire: each entry carries its expiry, and leaves the file some time after it.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::database::{Table, Transaction, expiring_row, expiry_of};

/// One of these tables, with entries `T` in JSON.
pub(super) struct Shelf<T> {
    table: Table,
    entries: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Shelf<T> {
    pub(super) const fn new(table: Table) -> Self {
        Self { table, entries: PhantomData }
    }

    /// The entry and its expiry, unless the entry is absent or expired.
    pub(super) fn get(&self, transaction: &Transaction, key: &str, now_ms: u64) -> Result<Option<(T, u64)>, Failure> {
        let Some(row) = transaction.get(self.table, key.as_bytes())? else { return Ok(None) };
        let corrupt = |reason: String| Failure::Corrupt(format!("an entry of {:?}: {reason}", self.table).into());
        let Some((end_ms, entry)) = expiry_of(&row) else {
            return Err(corrupt("it is not of a version that this kefu reads".to_owned()));
        };
        if end_ms <= now_ms {
            return Ok(None);
        }
        // serde_json's own message could quote the text of a message.
        let value = serde_json::from_slice(entry)
            .map_err(|error| corrupt(format!("line {} column {}", error.line(), error.column())))?;
        Ok(Some((value, end_ms)))
    }

    /// Puts the entry in place of the present one, until `end_ms`.
    pub(super) fn put(&self, transaction: &Transaction, key: &str, entry: &T, end_ms: u64) -> Result<(), Failure> {
        transaction.put(self.table, key.as_bytes(), self.row(entry, end_ms)?);
        Ok(())
    }

    /// As [`Shelf::put`], for an entry that may be lost with the process.
    pub(super) fn put_in_memory(
        &self,
        transaction: &Transaction,
        key: &str,
        entry: &T,
        end_ms: u64,
    ) -> Result<(), Failure> {
        transaction.put_in_memory(self.table, key.as_bytes(), self.row(entry, end_ms)?);
        Ok(())
    }

    /// Removes the entry, if it exists.
    pub(super) fn remove(&self, transaction: &Transaction, key: &str) -> Result<(), Failure> {
        transaction.remove(self.table, key.as_bytes());
        Ok(())
    }

    fn row(&self, entry: &T, end_ms: u64) -> Result<Vec<u8>, Failure> {
        let mut row = expiring_row(end_ms);
        serde_json::to_writer(&mut row, entry).map_err(|error| {
            Failure::Corrupt(format!("an entry for {:?} cannot be written: {error}", self.table).into())
        })?;
        Ok(row)
    }
}
