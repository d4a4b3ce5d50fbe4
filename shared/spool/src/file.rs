//! The rows of one spool file.

use std::path::{Path, PathBuf};

use kefu_embedded::{Database, DatabaseError};
use kefu_messages::partition::Partition;
use kefu_runtime::health::Health;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

type Rows = TableDefinition<'static, (u16, u64), &'static [u8]>;

/// (partition, number) -> the time of spooling (milliseconds since the epoch, 8 bytes, big-endian), then the envelope.
/// Numbers grow in the order of the pushes of a partition.
const SPOOL: Rows = TableDefinition::new("spool");
/// Rows of [`SPOOL`] that are no envelopes, unchanged: kept for a person to look at.
const UNREADABLE: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("spool_unreadable");

const TIME_BYTES: usize = 8;

/// The bytes of a row beside the envelope: its key and its time.
const ROW_BYTES: u64 = 2 + 8 + TIME_BYTES as u64;

/// An open spool file, locked against other processes.
pub(super) struct SpoolFile {
    pub(super) folder: PathBuf,
    database: Database,
}

/// A message in the form in which the file has it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) spooled_at_ms: u64,
    pub(super) body: Vec<u8>,
}

/// Without the user's text.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Row {
    /// The bytes that count against `spool_max_bytes`.
    pub(super) fn bytes(body: &[u8]) -> u64 {
        body.len() as u64 + ROW_BYTES
    }
}

/// A partition's messages in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) partition: Partition,
    pub(super) first: u64,
    pub(super) last: u64,
    /// When the first message was spooled.
    pub(super) oldest_ms: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// The result of a removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Removed {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl SpoolFile {
    /// Opens or creates the file below `folder`. Blocks, for longer after a crash.
    pub(super) fn open(folder: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { folder: folder.to_owned(), database: Database::open(folder)? })
    }

    #[cfg(test)]
    pub(super) fn on(folder: &Path, database: Database) -> Self {
        Self { folder: folder.to_owned(), database }
    }

    /// Whether the file can be written, and is still in its place.
    pub(super) fn health(&self) -> Health {
        self.database.health()
    }

    /// The content of the file, by partition. Reads every row, so that damage shows at once.
    pub(super) async fn scan(&self) -> Result<Vec<Found>, DatabaseError> {
        let create = |transaction: &WriteTransaction| {
            transaction.open_table(SPOOL)?;
            transaction.open_table(UNREADABLE)?;
            Ok(())
        };
        self.database.write(create).await?;
        self.database.read(found).await
    }

    /// Stores a message; `Ok` when the message is on the disk. After an error the message may be stored all the same.
    pub(super) async fn append(
        &self,
        partition: Partition,
        number: u64,
        spooled_at_ms: u64,
        body: Vec<u8>,
    ) -> Result<(), DatabaseError> {
        let mut row = Vec::with_capacity(TIME_BYTES + body.len());
        row.extend(spooled_at_ms.to_be_bytes());
        row.extend(body);
        let insert = move |transaction: &WriteTransaction| {
            transaction.open_table(SPOOL)?.insert((partition.index(), number), &*row)?;
            Ok(())
        };
        self.database.write(insert).await
    }

    /// The messages of a partition after the number `after`: at most `rows`, and no more once they have `bytes`.
    pub(super) async fn read(
        &self,
        partition: Partition,
        after: u64,
        rows: usize,
        bytes: usize,
    ) -> Result<Vec<Row>, DatabaseError> {
        let read = move |transaction: &ReadTransaction| {
            let table = transaction.open_table(SPOOL)?;
            let (from, to) = ((partition.index(), after.saturating_add(1)), (partition.index(), u64::MAX));
            let (mut found, mut size) = (Vec::new(), 0);
            for row in ReadableTable::range(&table, from..=to)? {
                let (key, value) = row?;
                let (spooled_at_ms, body) = split(value.value());
                size += body.len();
                found.push(Row { number: key.value().1, spooled_at_ms, body: body.to_vec() });
                if found.len() >= rows || size >= bytes {
                    break;
                }
            }
            Ok(found)
        };
        self.database.read(read).await
    }

    /// Removes, for each entry of `upto`, the messages of the partition up to the number.
    pub(super) async fn remove(&self, upto: Vec<(Partition, u64)>) -> Result<Removed, DatabaseError> {
        let remove = move |transaction: &WriteTransaction| {
            let mut table = transaction.open_table(SPOOL)?;
            let mut removed = Removed::default();
            for (partition, number) in upto {
                table.retain_in((partition.index(), 0)..=(partition.index(), number), |_, value| {
                    removed.messages += 1;
                    removed.bytes += Row::bytes(split(value).1);
                    false
                })?;
            }
            Ok(removed)
        };
        self.database.write(remove).await
    }

    /// Sets a row that is no envelope aside, in the same file.
    pub(super) async fn set_aside(&self, partition: Partition, number: u64) -> Result<(), DatabaseError> {
        let key = (partition.index(), number);
        let set_aside = move |transaction: &WriteTransaction| {
            let row = transaction.open_table(SPOOL)?.get(key)?.map(|row| row.value().to_vec());
            if let Some(row) = row {
                let mut unreadable = transaction.open_table(UNREADABLE)?;
                let next = unreadable.last()?.map_or(0, |(key, _)| key.value() + 1);
                unreadable.insert(next, &*row)?;
            }
            Ok(())
        };
        self.database.write(set_aside).await
    }

    /// The rows that were set aside.
    #[cfg(test)]
    pub(super) async fn unreadable(&self) -> Result<Vec<Vec<u8>>, DatabaseError> {
        let read = |transaction: &ReadTransaction| {
            let table = transaction.open_table(UNREADABLE)?;
            ReadableTable::iter(&table)?.map(|row| Ok(split(row?.1.value()).1.to_vec())).collect()
        };
        self.database.read(read).await
    }

    /// Waits until the file is closed; then another process can take it.
    pub(super) async fn close(self) {
        self.database.close().await;
    }
}

fn found(transaction: &ReadTransaction) -> Result<Vec<Found>, redb::Error> {
    let table = transaction.open_table(SPOOL)?;
    let mut all: Vec<Found> = Vec::new();
    for row in ReadableTable::iter(&table)? {
        let (key, value) = row?;
        let (partition, number) = key.value();
        let (spooled_at_ms, body) = split(value.value());
        let partition = Partition::from(partition);
        if all.last().is_none_or(|last| last.partition != partition) {
            let (first, last, oldest_ms) = (number, number, spooled_at_ms);
            all.push(Found { partition, first, last, oldest_ms, messages: 0, bytes: 0 });
        }
        if let Some(found) = all.last_mut() {
            found.last = number;
            found.messages += 1;
            found.bytes += Row::bytes(body);
        }
    }
    Ok(all)
}

/// A row's time and envelope.
fn split(row: &[u8]) -> (u64, &[u8]) {
    match row.split_first_chunk() {
        Some((time, body)) => (u64::from_be_bytes(*time), body),
        None => (0, row),
    }
}
