//! The tables behind the [journal]: how their rows are read, and how changes are moved into them.

use std::cell::OnceCell;
use std::sync::Arc;

use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::journal::{self, Changes};

type Bytes<K> = TableDefinition<'static, K, &'static [u8]>;
type Open<K> = OnceCell<Option<ReadOnlyTable<K, &'static [u8]>>>;
/// The key and the value of a row.
pub(crate) type KeyValue = (Box<[u8]>, Arc<[u8]>);
/// Rows in the order of their keys, from both ends.
type Rows<'a> = Box<dyn DoubleEndedIterator<Item = Result<KeyValue, redb::Error>> + 'a>;

/// A table of rows, each with a key and a value of bytes. The number is in the journal, so it must stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Table(u8);

/// The tables with keys of text, whose rows expire: see [`expiry_of`]. The position is the number in the journal and in
/// [`ENDS`], so it must stay. Add new tables at the end.
const EXPIRING: [Bytes<&str>; 8] = [
    TableDefinition::new("claims"),
    TableDefinition::new("jobs"),
    TableDefinition::new("tokens"),
    TableDefinition::new("media"),
    TableDefinition::new("windows"),
    TableDefinition::new("messages"),
    TableDefinition::new("conversations"),
    TableDefinition::new("order"),
];

/// (expiry, number of the table, key) of each row that expires, the next to expire first.
const ENDS: TableDefinition<'static, (u64, u8, &'static str), ()> = TableDefinition::new("ends");

/// (partition, number): numbers grow in the order of the publishes, over all partitions.
const READY: Bytes<(u16, u64)> = TableDefinition::new("queue_ready");
/// (due in milliseconds since the epoch, number)
const DUE: Bytes<(u64, u64)> = TableDefinition::new("queue_due");
/// number
const DEAD: Bytes<u64> = TableDefinition::new("queue_dead");

/// How many expired rows leave the file for each row that comes: more than the one, so that the file does not grow with
/// time.
const PURGED_PER_ROW: usize = 2;

/// The first byte of a row that expires: [`END_BYTES`] bytes of its expiry follow (milliseconds since the epoch).
const VERSION: u8 = 1;
const END_BYTES: usize = size_of::<u64>();

impl Table {
    pub(crate) const CLAIMS: Self = Self(0);
    pub(crate) const JOBS: Self = Self(1);
    pub(crate) const TOKENS: Self = Self(2);
    pub(crate) const MEDIA: Self = Self(3);
    pub(crate) const WINDOWS: Self = Self(4);
    pub(crate) const MESSAGES: Self = Self(5);
    pub(crate) const CONVERSATIONS: Self = Self(6);
    pub(crate) const ORDER: Self = Self(7);
    /// Keys: the partition (2 bytes) and the number (8 bytes), as all numbers in keys with the highest byte first.
    pub(crate) const READY: Self = Self(8);
    /// Keys: the due time and the number.
    pub(crate) const DUE: Self = Self(9);
    /// Keys: the number.
    pub(crate) const DEAD: Self = Self(10);

    pub(super) const COUNT: usize = 11;

    pub(super) const ALL: [Self; Self::COUNT] = {
        let mut all = [Self(0); Self::COUNT];
        let mut number = 0;
        while number < Self::COUNT {
            all[number] = Self(number as u8);
            number += 1;
        }
        all
    };

    /// Whether the queue has this table. The queue reads rows in the order of their keys, and no key of a removed row ever
    /// comes again.
    pub(super) fn is_of_queue(self) -> bool {
        self >= Self::READY
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn number(self) -> u8 {
        self.0
    }

    pub(super) fn of_number(number: u8) -> Option<Self> {
        (usize::from(number) < Self::COUNT).then_some(Self(number))
    }
}

/// Begins a row that expires at `end_ms`.
pub(crate) fn expiring_row(end_ms: u64) -> Vec<u8> {
    let mut row = Vec::with_capacity(128);
    row.push(VERSION);
    row.extend(end_ms.to_be_bytes());
    row
}

/// The expiry of a row, and the bytes after it. `None` if another version wrote the row.
pub(crate) fn expiry_of(row: &[u8]) -> Option<(u64, &[u8])> {
    let (end, rest) = row.strip_prefix(&[VERSION])?.split_first_chunk::<END_BYTES>()?;
    Some((u64::from_be_bytes(*end), rest))
}

/// The tables at a commit.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
    expiring: [Open<&'static str>; EXPIRING.len()],
    ready: Open<(u16, u64)>,
    due: Open<(u64, u64)>,
    dead: Open<u64>,
}

impl Snapshot {
    pub(super) fn new(transaction: ReadTransaction) -> Self {
        let (ready, due, dead) = Default::default();
        Self { transaction, expiring: Default::default(), ready, due, dead }
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Arc<[u8]>>, redb::Error> {
        match table {
            Table::READY => self.row(&self.ready, READY, ready_key(key)?),
            Table::DUE => self.row(&self.due, DUE, due_key(key)?),
            Table::DEAD => self.row(&self.dead, DEAD, dead_key(key)?),
            expiring => {
                let number = expiring.index();
                self.row(&self.expiring[number], EXPIRING[number], text(key)?)
            }
        }
    }

    fn row<'k, K: Key + 'static>(
        &self,
        open: &Open<K>,
        definition: Bytes<K>,
        key: K::SelfType<'k>,
    ) -> Result<Option<Arc<[u8]>>, redb::Error> {
        let Some(table) = self.open(open, definition)? else { return Ok(None) };
        Ok(ReadableTable::get(table, key)?.map(|row| row.value().into()))
    }

    /// The rows of a table of the queue with keys from `from` to `to`, both included.
    pub(super) fn range(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Rows<'_>, redb::Error> {
        match table {
            Table::READY => self.rows(&self.ready, READY, ready_key(from)?, ready_key(to)?, |(partition, number)| {
                [&partition.to_be_bytes()[..], &number.to_be_bytes()].concat()
            }),
            Table::DUE => self.rows(&self.due, DUE, due_key(from)?, due_key(to)?, |(due_ms, number)| {
                [due_ms.to_be_bytes(), number.to_be_bytes()].concat()
            }),
            Table::DEAD => {
                self.rows(&self.dead, DEAD, dead_key(from)?, dead_key(to)?, |number| number.to_be_bytes().to_vec())
            }
            _ => Ok(Box::new(std::iter::empty())),
        }
    }

    fn rows<'a, K>(
        &'a self,
        open: &'a Open<K>,
        definition: Bytes<K>,
        from: K,
        to: K,
        bytes: impl Fn(K) -> Vec<u8> + 'a,
    ) -> Result<Rows<'a>, redb::Error>
    where
        K: for<'k> Key<SelfType<'k> = K> + 'static,
    {
        let Some(table) = self.open(open, definition)? else { return Ok(Box::new(std::iter::empty())) };
        let rows = ReadableTable::range(table, from..=to)?;
        Ok(Box::new(rows.map(move |row| {
            let (key, value) = row?;
            Ok((bytes(key.value()).into(), value.value().into()))
        })))
    }

    /// `None` if the table never had a row.
    fn open<'a, K: Key + 'static>(
        &self,
        open: &'a Open<K>,
        definition: Bytes<K>,
    ) -> Result<Option<&'a ReadOnlyTable<K, &'static [u8]>>, redb::Error> {
        if open.get().is_none() {
            let table = match self.transaction.open_table(definition) {
                Err(TableError::TableDoesNotExist(_)) => None,
                table => Some(table?),
            };
            open.set(table).ok();
        }
        Ok(open.get().and_then(Option::as_ref))
    }
}

/// Moves changes of these rows into their tables. Rows of one table follow one another, in the order of their keys.
pub(super) fn move_in(
    transaction: &WriteTransaction,
    changes: &Changes,
    rows: &[(Table, journal::Key)],
    now_ms: u64,
) -> Result<(), redb::Error> {
    let mut ends = Ends::default();
    for rows in rows.chunk_by(|(one, _), (other, _)| one == other) {
        let Some(&(table, _)) = rows.first() else { continue };
        let mut changed = rows.iter().filter_map(|(_, key)| Some((&**key, changes.get(table, key)?.as_deref())));
        match table {
            Table::READY => move_rows(transaction, READY, changed, ready_key)?,
            Table::DUE => move_rows(transaction, DUE, changed, due_key)?,
            Table::DEAD => move_rows(transaction, DEAD, changed, dead_key)?,
            expiring => {
                let mut rows = transaction.open_table(EXPIRING[expiring.index()])?;
                changed.try_for_each(|(key, value)| ends.move_row(&mut rows, expiring, key, value, now_ms))?;
            }
        }
    }
    ends.move_in(transaction, now_ms)
}

fn move_rows<'a, K>(
    transaction: &WriteTransaction,
    definition: Bytes<K>,
    changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    key_of: impl Fn(&[u8]) -> Result<K, redb::Error>,
) -> Result<(), redb::Error>
where
    K: for<'k> Key<SelfType<'k> = K> + 'static,
{
    let mut rows = transaction.open_table(definition)?;
    for (key, value) in changes {
        match value {
            Some(value) => drop(rows.insert(key_of(key)?, value)?),
            None => drop(rows.remove(key_of(key)?)?),
        }
    }
    Ok(())
}

/// The changes of [`ENDS`] that follow from changed rows.
#[derive(Default)]
struct Ends {
    gone: Vec<(u64, u8, String)>,
    new: Vec<(u64, u8, String)>,
}

impl Ends {
    fn move_row(
        &mut self,
        rows: &mut redb::Table<'_, &'static str, &'static [u8]>,
        table: Table,
        key: &[u8],
        value: Option<&[u8]>,
        now_ms: u64,
    ) -> Result<(), redb::Error> {
        let key = text(key)?;
        let end_of = |row: &[u8]| expiry_of(row).map(|(end_ms, _)| end_ms);
        // Most rows of short lives have ended before they would reach the file.
        let value = value.filter(|row| end_of(row).is_none_or(|end_ms| end_ms > now_ms));
        let before = match value {
            Some(value) => rows.insert(key, value)?.and_then(|row| end_of(row.value())),
            None => rows.remove(key)?.and_then(|row| end_of(row.value())),
        };
        let end = value.and_then(end_of);
        if before != end {
            self.gone.extend(before.map(|end_ms| (end_ms, table.0, key.to_owned())));
            self.new.extend(end.map(|end_ms| (end_ms, table.0, key.to_owned())));
        }
        Ok(())
    }

    /// Brings [`ENDS`] up to date, and removes expired rows: [`PURGED_PER_ROW`] for each that came.
    fn move_in(mut self, transaction: &WriteTransaction, now_ms: u64) -> Result<(), redb::Error> {
        if self.gone.is_empty() && self.new.is_empty() {
            return Ok(());
        }
        let mut ends = transaction.open_table(ENDS)?;
        self.gone.sort_unstable();
        self.new.sort_unstable();
        for (end_ms, table, key) in &self.gone {
            ends.remove((*end_ms, *table, &**key))?;
        }
        for (end_ms, table, key) in &self.new {
            ends.insert((*end_ms, *table, &**key), ())?;
        }
        for _ in 0..self.new.len() * PURGED_PER_ROW {
            let first = ends.first()?.map(|(first, _)| {
                let (end_ms, table, key) = first.value();
                (end_ms, table, key.to_owned())
            });
            let Some((_, table, key)) = first.filter(|(end_ms, ..)| *end_ms <= now_ms) else { break };
            ends.pop_first()?;
            if let Some(table) = EXPIRING.get(usize::from(table)) {
                transaction.open_table(*table)?.remove(&*key)?;
            }
        }
        Ok(())
    }
}

fn damaged(what: &str) -> redb::Error {
    redb::Error::Corrupted(format!("the journal has {what}"))
}

fn text(key: &[u8]) -> Result<&str, redb::Error> {
    std::str::from_utf8(key).map_err(|_| damaged("a key that is no text"))
}

fn number<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), redb::Error> {
    let (number, rest) = bytes.split_first_chunk().ok_or_else(|| damaged("a key that is too short"))?;
    Ok((*number, rest))
}

fn ready_key(key: &[u8]) -> Result<(u16, u64), redb::Error> {
    let (partition, rest) = number(key)?;
    Ok((u16::from_be_bytes(partition), dead_key(rest)?))
}

fn due_key(key: &[u8]) -> Result<(u64, u64), redb::Error> {
    let (due_ms, rest) = number(key)?;
    Ok((u64::from_be_bytes(due_ms), dead_key(rest)?))
}

fn dead_key(key: &[u8]) -> Result<u64, redb::Error> {
    Ok(u64::from_be_bytes(number(key)?.0))
}
