//! The queue's tables, and the moves between them. Each move is one work.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use kefu_messages::partition::Partition;
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::record::Record;
use crate::database::{Table, Transaction};

/// `opened` -> how often the file was opened.
const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("queue_counters");

/// How many messages come back from [`Table::DUE`] in one transaction at most.
const MAX_RETURNED: usize = 256;

/// How many bytes come back from [`Table::DUE`] in one transaction; the last message may exceed them.
const MAX_RETURNED_BYTES: usize = 8 * 1024 * 1024;

/// The queue's state at its opening.
pub(super) struct Found {
    /// The last number of each partition that has ready messages.
    pub(super) tails: Vec<(Partition, u64)>,
    pub(super) next_due_ms: Option<u64>,
}

/// Counts this opening of the queue and returns its number, from 1.
pub(super) fn count_opening(transaction: &WriteTransaction) -> Result<u64, redb::Error> {
    let mut counters = transaction.open_table(COUNTERS)?;
    let opened = counters.get("opened")?.map_or(1, |opened| opened.value() + 1);
    counters.insert("opened", opened)?;
    Ok(opened)
}

pub(super) fn found(transaction: &Transaction) -> Result<Found, redb::Error> {
    let mut tails = Vec::new();
    let mut upto = Some(u16::MAX);
    while let Some(partition) = upto {
        let (from, to) = (ready_key(0.into(), 0), ready_key(partition.into(), u64::MAX));
        let Some((key, _)) = transaction.last(Table::READY, (&from, &to))? else { break };
        let (partition, number) = (u16::from_be_bytes([key[0], key[1]]), number_of(&key));
        tails.push((Partition::from(partition), number));
        upto = partition.checked_sub(1);
    }
    Ok(Found { tails, next_due_ms: next_due_ms(transaction, 0)? })
}

fn ready_key(partition: Partition, number: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&partition.index().to_be_bytes());
    key[2..].copy_from_slice(&number.to_be_bytes());
    key
}

fn due_key(due_ms: u64, number: u64) -> [u8; 16] {
    (u128::from(due_ms) << 64 | u128::from(number)).to_be_bytes()
}

/// The number at the end of each key.
fn number_of(key: &[u8]) -> u64 {
    key.last_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

/// When the next message is due that is due at `from_ms` or later.
fn next_due_ms(transaction: &Transaction, from_ms: u64) -> Result<Option<u64>, redb::Error> {
    let next = transaction.first(Table::DUE, (&due_key(from_ms, 0), &due_key(u64::MAX, u64::MAX)))?;
    Ok(next.and_then(|(key, _)| key.first_chunk().map(|due_ms| u64::from_be_bytes(*due_ms))))
}

pub(super) fn append(transaction: &Transaction, number: u64, record: &Record) {
    transaction.put(Table::READY, &ready_key(record.header.partition, number), record.to_bytes());
}

/// Removes a ready message; `None` if it does not exist.
pub(super) fn take(
    transaction: &Transaction,
    partition: Partition,
    number: u64,
) -> Result<Option<Arc<[u8]>>, redb::Error> {
    let key = ready_key(partition, number);
    let row = transaction.get(Table::READY, &key)?;
    if row.is_some() {
        transaction.remove(Table::READY, &key);
    }
    Ok(row)
}

pub(super) fn delay(transaction: &Transaction, due_ms: u64, number: u64, record: &Record) {
    transaction.put(Table::DUE, &due_key(due_ms, number), record.to_bytes());
}

pub(super) fn bury(transaction: &Transaction, number: u64, record: &Record) {
    transaction.put(Table::DEAD, &number.to_be_bytes(), record.to_bytes());
}

/// The result of [`return_due`].
pub(super) struct Returned {
    /// The partitions that received messages, with their new last numbers.
    pub(super) tails: Vec<(Partition, u64)>,
    /// When the next message is due; the time may be past already.
    pub(super) next_due_ms: Option<u64>,
}

/// Moves due messages to the tails of their partitions, up to [`MAX_RETURNED`] messages or [`MAX_RETURNED_BYTES`]. No message
/// is due before `from_ms`: rows that were removed before that need not be passed again.
pub(super) fn return_due(
    transaction: &Transaction,
    (from_ms, now_ms): (u64, u64),
    mut next_number: impl FnMut() -> u64,
) -> Result<Returned, redb::Error> {
    let (mut due, mut bytes) = (Vec::new(), 0);
    transaction.visit(Table::DUE, (&due_key(from_ms, 0), &due_key(now_ms, u64::MAX)), |key, row| {
        bytes += row.len();
        due.push((key.to_vec(), Arc::clone(row)));
        match due.len() < MAX_RETURNED && bytes < MAX_RETURNED_BYTES {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    let (mut tails, mut last_ms) = (Vec::with_capacity(due.len()), from_ms);
    for (key, row) in due {
        transaction.remove(Table::DUE, &key);
        last_ms = key.first_chunk().map_or(from_ms, |due_ms| u64::from_be_bytes(*due_ms));
        let record = Record::from_bytes(&row, Partition::from(0));
        let number = next_number();
        append(transaction, number, &record);
        tails.push((record.header.partition, number));
    }
    Ok(Returned { tails, next_due_ms: next_due_ms(transaction, last_ms)? })
}

/// The result of [`read`].
pub(super) struct Rows {
    /// The messages with their numbers.
    pub(super) rows: Vec<(u64, Arc<[u8]>)>,
    /// Whether these are all of the requested messages; otherwise the bytes were used up.
    pub(super) all: bool,
}

/// The ready messages of a partition from `from` on, up to `limit`, while `bytes` are left; each message uses up its bytes.
/// The last message may be larger than the remaining bytes.
pub(super) fn read(
    transaction: &Transaction,
    partition: Partition,
    from: u64,
    limit: usize,
    bytes: &mut usize,
) -> Result<Rows, redb::Error> {
    let (mut rows, mut all) = (Vec::new(), true);
    let range = (&ready_key(partition, from)[..], &ready_key(partition, u64::MAX)[..]);
    transaction.visit(Table::READY, range, |key, row| {
        if rows.len() >= limit {
            return ControlFlow::Break(());
        }
        if *bytes == 0 {
            all = false;
            return ControlFlow::Break(());
        }
        *bytes = bytes.saturating_sub(row.len());
        rows.push((number_of(key), Arc::clone(row)));
        ControlFlow::Continue(())
    })?;
    Ok(Rows { rows, all })
}

/// The number of the last dead letter.
pub(super) fn last_dead(transaction: &Transaction) -> Result<Option<u64>, redb::Error> {
    let found = transaction.last(Table::DEAD, (&0_u64.to_be_bytes(), &u64::MAX.to_be_bytes()))?;
    Ok(found.map(|(key, _)| number_of(&key)))
}

/// The dead letters with these numbers, in the order in which they died, up to `limit` and until they have `bytes`.
pub(super) fn dead(
    transaction: &Transaction,
    numbers: RangeInclusive<u64>,
    limit: usize,
    bytes: usize,
) -> Result<Vec<(u64, Record)>, redb::Error> {
    let (mut rows, mut read) = (Vec::new(), 0);
    let range = (&numbers.start().to_be_bytes()[..], &numbers.end().to_be_bytes()[..]);
    transaction.visit(Table::DEAD, range, |key, row| {
        if rows.len() >= limit || read >= bytes {
            return ControlFlow::Break(());
        }
        read += row.len();
        rows.push((number_of(key), Record::from_bytes(row, Partition::from(0))));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

/// Removes a dead letter; `None` if it does not exist.
pub(super) fn exhume(transaction: &Transaction, number: u64) -> Result<Option<Record>, redb::Error> {
    let key = number.to_be_bytes();
    let Some(row) = transaction.get(Table::DEAD, &key)? else { return Ok(None) };
    transaction.remove(Table::DEAD, &key);
    Ok(Some(Record::from_bytes(&row, Partition::from(0))))
}
