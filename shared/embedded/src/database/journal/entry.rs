//! Entries of the journal on the disk.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::changes::{Changes, Route};
use crate::database::file::File;
use crate::database::tables::{self, Table};

/// number -> entry: the entries that no table has yet.
const JOURNAL: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("journal");

/// The length of a value that stands for a removal.
const REMOVED: u32 = u32::MAX;

pub(super) fn insert(transaction: &WriteTransaction, number: u64, entry: &[u8]) -> Result<(), redb::Error> {
    transaction.open_table(JOURNAL)?.insert(number, entry)?;
    Ok(())
}

pub(super) fn remove_upto(transaction: &WriteTransaction, number: u64) -> Result<(), redb::Error> {
    Ok(transaction.open_table(JOURNAL)?.retain_in(..=number, |_, _| false)?)
}

/// Whether the file has the entry.
pub(super) fn is_in(file: &File, number: u64) -> Result<bool, redb::Error> {
    match file.begin_read()?.open_table(JOURNAL) {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(false),
        table => Ok(ReadableTable::get(&table?, number)?.is_some()),
    }
}

/// Moves what an earlier process left in the journal to the tables.
pub(in crate::database) fn recover(file: &File, now_ms: u64) -> Result<(), redb::Error> {
    let is_there = match file.begin_read()?.open_table(JOURNAL) {
        Err(redb::TableError::TableDoesNotExist(_)) => false,
        table => ReadableTable::first(&table?)?.is_some(),
    };
    if !is_there {
        return Ok(());
    }
    let transaction = file.begin_write()?;
    let mut changes = Changes::default();
    {
        let mut journal = transaction.open_table(JOURNAL)?;
        for row in ReadableTable::iter(&journal)? {
            read_entry(row?.1.value(), &mut changes)?;
        }
        journal.retain(|_, _| false)?;
    }
    let route = Route::of(&changes);
    tables::move_in(&transaction, &changes, route.step(usize::MAX).0, now_ms)?;
    Ok(transaction.commit()?)
}

/// An entry is its changes, one after the other: the table (1 byte), the lengths of key and value (4 bytes each), key, value.
pub(super) fn write_change(entry: &mut Vec<u8>, table: Table, key: &[u8], value: Option<&[u8]>) {
    entry.push(table.number());
    entry.extend((key.len() as u32).to_be_bytes());
    entry.extend(value.map_or(REMOVED, |value| value.len() as u32).to_be_bytes());
    entry.extend(key);
    entry.extend(value.unwrap_or_default());
}

fn read_entry(mut entry: &[u8], changes: &mut Changes) -> Result<(), redb::Error> {
    let mut next = || {
        let (&number, rest) = entry.split_first()?;
        let (key_length, rest) = rest.split_first_chunk()?;
        let (value_length, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_length) as usize)?;
        let (value, rest) = match u32::from_be_bytes(*value_length) {
            REMOVED => (None, rest),
            length => rest.split_at_checked(length as usize).map(|(value, rest)| (Some(value), rest))?,
        };
        entry = rest;
        Some((Table::of_number(number)?, key, value, rest.is_empty()))
    };
    loop {
        let damaged = || redb::Error::Corrupted("an entry of the journal cannot be read".to_owned());
        let (table, key, value, is_last) = next().ok_or_else(damaged)?;
        // The crash may have come when a part of the changes had moved, so a removed row may be in its table.
        changes.record(table, key.into(), value.map(Into::into));
        if is_last {
            return Ok(());
        }
    }
}
