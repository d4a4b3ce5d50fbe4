//! Tables whose entries expire: each entry carries its expiry, and an index over all tables finds the expired entries.

use std::marker::PhantomData;

use redb::{AccessGuard, ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;

/// The first byte of an entry: [`END_BYTES`] bytes of its expiry follow (milliseconds since the epoch), then JSON.
const VERSION: u8 = 1;

const END_BYTES: usize = size_of::<u64>();

type Bytes = TableDefinition<'static, &'static str, &'static [u8]>;

/// (expiry, shelf, key) of each entry, the next to expire first.
const ENDS: TableDefinition<'static, (u64, u8, &'static str), ()> = TableDefinition::new("ends");

/// All tables with expiries. The position is the number in [`ENDS`], so it must stay. Add new tables at the end.
const TABLES: [Bytes; 8] = [
    TableDefinition::new("claims"),
    TableDefinition::new("jobs"),
    TableDefinition::new("tokens"),
    TableDefinition::new("media"),
    TableDefinition::new("windows"),
    TableDefinition::new("messages"),
    TableDefinition::new("conversations"),
    TableDefinition::new("order"),
];

pub(super) const CLAIMS: u8 = 0;
pub(super) const JOBS: u8 = 1;
pub(super) const TOKENS: u8 = 2;
pub(super) const MEDIA: u8 = 3;
pub(super) const WINDOWS: u8 = 4;
pub(super) const MESSAGES: u8 = 5;
pub(super) const TALKS: u8 = 6;
pub(super) const ORDER: u8 = 7;

/// One of these tables, with entries `T`.
pub(super) struct Shelf<T> {
    number: u8,
    entries: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Shelf<T> {
    pub(super) const fn new(number: u8) -> Self {
        Self { number, entries: PhantomData }
    }

    fn table(&self) -> Bytes {
        TABLES[usize::from(self.number)]
    }

    /// The entry and its expiry, unless the entry is absent or expired.
    pub(super) fn get(
        &self,
        transaction: &WriteTransaction,
        key: &str,
        now_ms: u64,
    ) -> Result<Option<(T, u64)>, Failure> {
        let table = transaction.open_table(self.table())?;
        let entry = table.get(key)?;
        self.decode(entry, now_ms)
    }

    /// As [`Shelf::get`], on a snapshot.
    pub(super) fn read(
        &self,
        transaction: &ReadTransaction,
        key: &str,
        now_ms: u64,
    ) -> Result<Option<(T, u64)>, Failure> {
        let table = match transaction.open_table(self.table()) {
            // The table never had an entry.
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        let entry = ReadableTable::get(&table, key)?;
        self.decode(entry, now_ms)
    }

    /// Puts the entry in place of the present one, until `end_ms`.
    pub(super) fn put(&self, transaction: &WriteTransaction, key: &str, entry: &T, end_ms: u64) -> Result<(), Failure> {
        let mut bytes = vec![VERSION];
        bytes.extend(end_ms.to_be_bytes());
        serde_json::to_writer(&mut bytes, entry).map_err(|error| {
            Failure::Corrupt(format!("an entry for {} cannot be written: {error}", self.table()).into())
        })?;
        let before = transaction.open_table(self.table())?.insert(key, &*bytes)?.and_then(|before| end_of(&before));
        if before != Some(end_ms) {
            let mut ends = transaction.open_table(ENDS)?;
            if let Some(before) = before {
                ends.remove((before, self.number, key))?;
            }
            ends.insert((end_ms, self.number, key), ())?;
        }
        Ok(())
    }

    /// Removes the entry, if it exists.
    pub(super) fn remove(&self, transaction: &WriteTransaction, key: &str) -> Result<(), Failure> {
        if let Some(end_ms) = transaction.open_table(self.table())?.remove(key)?.and_then(|before| end_of(&before)) {
            transaction.open_table(ENDS)?.remove((end_ms, self.number, key))?;
        }
        Ok(())
    }

    fn decode(&self, entry: Option<AccessGuard<'_, &[u8]>>, now_ms: u64) -> Result<Option<(T, u64)>, Failure> {
        let Some(entry) = entry else { return Ok(None) };
        let corrupt = |reason: String| Failure::Corrupt(format!("an entry of {}: {reason}", self.table()).into());
        let Some(end_ms) = end_of(&entry) else {
            return Err(corrupt("it is not of a version that this kefu reads".to_owned()));
        };
        if end_ms <= now_ms {
            return Ok(None);
        }
        // serde_json's own message could quote the text of a message.
        let value = serde_json::from_slice(&entry.value()[1 + END_BYTES..])
            .map_err(|error| corrupt(format!("line {} column {}", error.line(), error.column())))?;
        Ok(Some((value, end_ms)))
    }
}

fn end_of(entry: &AccessGuard<'_, &[u8]>) -> Option<u64> {
    let bytes = entry.value().strip_prefix(&[VERSION])?;
    Some(u64::from_be_bytes(*bytes.first_chunk::<END_BYTES>()?))
}

/// Removes up to `limit` expired entries from the file.
pub(super) fn purge(transaction: &WriteTransaction, now_ms: u64, limit: usize) -> Result<(), redb::Error> {
    let mut ends = transaction.open_table(ENDS)?;
    for _ in 0..limit {
        let Some((number, key)) = ends.first()?.and_then(|(first, _)| ended(&first, now_ms)) else { break };
        ends.pop_first()?;
        if let Some(table) = TABLES.get(usize::from(number)) {
            transaction.open_table(*table)?.remove(&*key)?;
        }
    }
    Ok(())
}

fn ended(first: &AccessGuard<'_, (u64, u8, &str)>, now_ms: u64) -> Option<(u8, String)> {
    let (end_ms, number, key) = first.value();
    (end_ms <= now_ms).then(|| (number, key.to_owned()))
}
