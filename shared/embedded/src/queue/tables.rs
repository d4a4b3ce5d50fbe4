//! The queue's tables, and the moves between them. Each move is one transaction's work.

use std::ops::RangeInclusive;

use kefu_messages::partition::Partition;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::record::Record;

type Table<K> = TableDefinition<'static, K, &'static [u8]>;

/// (partition, number): numbers grow in the order of the commits, over all partitions.
const READY: Table<(u16, u64)> = TableDefinition::new("queue_ready");
/// (due in milliseconds since the epoch, number)
const DUE: Table<(u64, u64)> = TableDefinition::new("queue_due");
/// number
const DEAD: Table<u64> = TableDefinition::new("queue_dead");
/// `opened` -> how often the file was opened.
const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("queue_counters");

/// How many messages come back from [`DUE`] in one transaction at most.
const MAX_RETURNED: usize = 256;

/// How many bytes come back from [`DUE`] in one transaction; the last message may exceed them.
const MAX_RETURNED_BYTES: usize = 8 * 1024 * 1024;

/// The queue's state at the opening of the file.
pub(super) struct Found {
    /// The number of openings, from 1.
    pub(super) opened: u64,
    /// The last number of each partition that has ready messages.
    pub(super) tails: Vec<(Partition, u64)>,
    pub(super) next_due_ms: Option<u64>,
}

pub(super) fn open(transaction: &WriteTransaction) -> Result<Found, redb::Error> {
    let mut counters = transaction.open_table(COUNTERS)?;
    let opened = counters.get("opened")?.map_or(1, |opened| opened.value() + 1);
    counters.insert("opened", opened)?;
    transaction.open_table(DEAD)?;

    let ready = transaction.open_table(READY)?;
    let mut tails = Vec::new();
    let mut above = ready.last()?.map(|(key, _)| key.value());
    while let Some((partition, number)) = above {
        tails.push((Partition::from(partition), number));
        above = ready.range(..(partition, 0))?.next_back().transpose()?.map(|(key, _)| key.value());
    }
    let next_due_ms = transaction.open_table(DUE)?.first()?.map(|(key, _)| key.value().0);
    Ok(Found { opened, tails, next_due_ms })
}

pub(super) fn append(transaction: &WriteTransaction, number: u64, record: &Record) -> Result<(), redb::Error> {
    let mut ready = transaction.open_table(READY)?;
    ready.insert((record.header.partition.index(), number), &*record.to_bytes())?;
    Ok(())
}

/// Removes a ready message; `None` if it does not exist.
pub(super) fn take(
    transaction: &WriteTransaction,
    partition: Partition,
    number: u64,
) -> Result<Option<Record>, redb::Error> {
    let mut ready = transaction.open_table(READY)?;
    let taken = ready.remove((partition.index(), number))?;
    Ok(taken.map(|row| Record::from_bytes(row.value(), partition)))
}

pub(super) fn delay(
    transaction: &WriteTransaction,
    due_ms: u64,
    number: u64,
    record: &Record,
) -> Result<(), redb::Error> {
    transaction.open_table(DUE)?.insert((due_ms, number), &*record.to_bytes())?;
    Ok(())
}

pub(super) fn bury(transaction: &WriteTransaction, number: u64, record: &Record) -> Result<(), redb::Error> {
    transaction.open_table(DEAD)?.insert(number, &*record.to_bytes())?;
    Ok(())
}

/// The result of [`return_due`].
pub(super) struct Returned {
    /// The partitions that received messages, with their new last numbers.
    pub(super) tails: Vec<(Partition, u64)>,
    /// When the next message is due; the time may be past already.
    pub(super) next_due_ms: Option<u64>,
}

/// Moves due messages to the tails of their partitions, up to [`MAX_RETURNED`] messages or [`MAX_RETURNED_BYTES`].
pub(super) fn return_due(
    transaction: &WriteTransaction,
    now_ms: u64,
    mut next_number: impl FnMut() -> u64,
) -> Result<Returned, redb::Error> {
    let mut due = transaction.open_table(DUE)?;
    let (mut tails, mut bytes) = (Vec::new(), 0);
    while tails.len() < MAX_RETURNED && bytes < MAX_RETURNED_BYTES {
        let Some(key) = due.first()?.map(|(key, _)| key.value()).filter(|&(due_ms, _)| due_ms <= now_ms) else { break };
        if let Some(row) = due.remove(key)? {
            bytes += row.value().len();
            let record = Record::from_bytes(row.value(), Partition::from(0));
            let number = next_number();
            append(transaction, number, &record)?;
            tails.push((record.header.partition, number));
        }
    }
    let next_due_ms = due.first()?.map(|(key, _)| key.value().0);
    Ok(Returned { tails, next_due_ms })
}

/// The result of [`read`].
pub(super) struct Rows {
    /// The messages with their numbers.
    pub(super) rows: Vec<(u64, Record)>,
    /// Whether these are all of the requested messages; otherwise the bytes were used up.
    pub(super) all: bool,
}

/// The ready messages of a partition from `from` on, up to `limit`, while `bytes` are left; each message uses up its bytes.
/// The last message may be larger than the remaining bytes.
pub(super) fn read(
    transaction: &ReadTransaction,
    partition: Partition,
    from: u64,
    limit: usize,
    bytes: &mut usize,
) -> Result<Rows, redb::Error> {
    let ready = transaction.open_table(READY)?;
    let range = ReadableTable::range(&ready, (partition.index(), from)..=(partition.index(), u64::MAX))?;
    let mut rows = Vec::new();
    for row in range.take(limit) {
        if *bytes == 0 {
            return Ok(Rows { rows, all: false });
        }
        let (key, row) = row?;
        *bytes = bytes.saturating_sub(row.value().len());
        rows.push((key.value().1, Record::from_bytes(row.value(), partition)));
    }
    Ok(Rows { rows, all: true })
}

/// The number of the last dead letter.
pub(super) fn last_dead(transaction: &ReadTransaction) -> Result<Option<u64>, redb::Error> {
    let dead = transaction.open_table(DEAD)?;
    Ok(ReadableTable::last(&dead)?.map(|(key, _)| key.value()))
}

/// The dead letters with these numbers, in the order in which they died, up to `limit` and until they have `bytes`.
pub(super) fn dead(
    transaction: &ReadTransaction,
    numbers: RangeInclusive<u64>,
    limit: usize,
    bytes: usize,
) -> Result<Vec<(u64, Record)>, redb::Error> {
    let dead = transaction.open_table(DEAD)?;
    let (mut rows, mut read) = (Vec::new(), 0);
    for row in ReadableTable::range(&dead, numbers)?.take(limit) {
        let (key, row) = row?;
        read += row.value().len();
        rows.push((key.value(), Record::from_bytes(row.value(), Partition::from(0))));
        if read >= bytes {
            break;
        }
    }
    Ok(rows)
}

/// Removes a dead letter; `None` if it does not exist.
pub(super) fn exhume(transaction: &WriteTransaction, number: u64) -> Result<Option<Record>, redb::Error> {
    let mut dead = transaction.open_table(DEAD)?;
    let taken = dead.remove(number)?;
    Ok(taken.map(|row| Record::from_bytes(row.value(), Partition::from(0))))
}
