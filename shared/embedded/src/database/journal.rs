//! The journal: changes of rows, in memory at once and on the disk with the next commit.
//!
//! A change of the state or the queue goes into memory, under one lock, and into the journal's next entry. The writer's
//! thread commits the entry as one row, however many changes it has; the callers that must know wait for that commit.
//! Changes are in the order in which they were made, in memory and on the disk: once a change is durable, all changes before
//! it are. So only a change that the outside world learns of needs a wait of its own.
//!
//! Rows stay in memory until they have so many bytes, and then move to their [tables], some with each
//! commit; by then most have changed several times, or are gone. After a crash the rows are made of the journal's entries.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use tracing::error;

use super::error::DatabaseError;
use super::file::File;
use super::tables::{self, KeyValue, Snapshot, Table};

/// number -> entry: the entries that no table has yet.
const JOURNAL: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("journal");

/// How many bytes of changes are in memory before they begin to move to the tables.
const RIPE_BYTES: usize = if cfg!(test) { 64 * 1024 } else { 4 * 1024 * 1024 };

/// How many bytes of entries there are before changes begin to move, if the same rows change again and again.
const RIPE_ENTRY_BYTES: usize = 4 * RIPE_BYTES;

/// What a row takes in memory beside its bytes.
const ROW_BYTES: usize = 96;

/// How many changes move to the tables with a commit.
const MOVED_PER_COMMIT: usize = 256;
/// The same, while more changes come than move.
const MOVED_IN_HASTE: usize = 2_048;

/// The length of a value that stands for a removal.
const REMOVED: u32 = u32::MAX;

type Key = Box<[u8]>;
/// Rows in the order of their keys, from both ends.
type Rows<'a> = Box<dyn DoubleEndedIterator<Item = Result<(Cow<'a, [u8]>, Value), redb::Error>> + 'a>;
/// `None`: the row was removed.
type Value = Option<Arc<[u8]>>;

/// Tells a caller how the commit of its changes ended.
pub(super) type Answer = Box<dyn FnOnce(Result<(), &DatabaseError>) + Send>;

/// The latest change of each changed row, by table.
#[derive(Clone, Default)]
pub(super) struct Changes {
    tables: [BTreeMap<Key, Value>; Table::COUNT],
    bytes: usize,
}

impl Changes {
    pub(super) fn table(&self, table: usize) -> &BTreeMap<Key, Value> {
        &self.tables[table]
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<&Value> {
        self.tables[table.index()].get(key)
    }

    /// Returns the change that `value` replaces.
    fn set(&mut self, table: Table, key: &[u8], value: Value) -> Option<Value> {
        if value.is_none() && table.has_each_key_once() && matches!(self.get(table, key), Some(Some(_))) {
            // The row came here and nowhere else, so nothing need be removed from the table.
            return self.erase(table, key);
        }
        self.bytes += value.as_ref().map_or(0, |value| value.len());
        let rows = &mut self.tables[table.index()];
        let before = match rows.get_mut(key) {
            Some(present) => Some(mem::replace(present, value)),
            None => {
                self.bytes += key.len() + ROW_BYTES;
                rows.insert(key.into(), value)
            }
        };
        self.bytes -= before.as_ref().and_then(Option::as_ref).map_or(0, |value| value.len());
        before
    }

    fn restore(&mut self, undo: Undo) {
        match undo.before {
            Some(before) => drop(self.set(undo.table, &undo.key, before)),
            None => drop(self.erase(undo.table, &undo.key)),
        }
    }

    fn erase(&mut self, table: Table, key: &[u8]) -> Option<Value> {
        let erased = self.tables[table.index()].remove(key);
        if let Some(value) = &erased {
            self.bytes -= value.as_ref().map_or(0, |value| value.len()) + key.len() + ROW_BYTES;
        }
        erased
    }
}

/// A place among [`Changes`].
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) table: usize,
    /// The last key before the place.
    pub(super) after: Option<Key>,
}

/// The change of a row, for the case that its commit fails.
struct Undo {
    table: Table,
    key: Key,
    before: Option<Value>,
}

/// Changes that one commit makes durable.
#[derive(Default)]
struct Batch {
    entry: Vec<u8>,
    undo: Vec<Undo>,
    answers: Vec<Answer>,
}

/// Changes on their way to the tables.
struct Moving {
    changes: Arc<Changes>,
    /// The last entry with one of them.
    upto: u64,
}

#[derive(Default)]
struct State {
    recent: Changes,
    /// The bytes of the entries with recent changes.
    entry_bytes: usize,
    moving: Option<Moving>,
    /// The tables as of the last commit, once somebody has read them.
    snapshot: Option<Snapshot>,
    batch: Batch,
    /// Whether the writer's thread knows of the batch.
    is_announced: bool,
    /// Why there can be no changes and no looks: the outcome of a commit is not known yet, or the database is closed.
    halted: Option<DatabaseError>,
}

/// The journal of one database.
pub(super) struct Journal(Mutex<Transaction>);

impl Journal {
    pub(super) fn new(file: Arc<File>) -> Self {
        Self(Mutex::new(Transaction { state: RefCell::default(), file }))
    }

    /// Does `work`, and lets `answer` make the answer to the commit of its changes. Without changes there is no commit,
    /// and `answer` gets false. After an error nothing was changed. Returns whether the writer's thread must be told.
    pub(super) fn change<T, R>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, redb::Error>,
        answer: impl FnOnce(T, bool) -> (R, Option<Answer>),
    ) -> Result<(R, bool), DatabaseError> {
        let mut transaction = self.0.lock();
        if let Some(error) = &transaction.state.get_mut().halted {
            return Err(error.clone());
        }
        let mut whole = OrNothing::new(&mut transaction);
        let value = work(whole.transaction).map_err(|error| whole.transaction.file.describe(&error))?;
        whole.is_done = true;
        let entry_before = whole.entry_before;
        drop(whole);
        let state = transaction.state.get_mut();
        let has_changed = state.batch.entry.len() > entry_before;
        let (result, answer) = answer(value, has_changed);
        state.batch.answers.extend(answer);
        let tell = has_changed && !state.is_announced;
        state.is_announced |= tell;
        Ok((result, tell))
    }

    /// Takes what the next commit makes durable. `entry` is its number. `all`: changes move to the tables however few they
    /// are.
    pub(super) fn take(&self, entry: u64, all: bool) -> Taken {
        let mut transaction = self.0.lock();
        let state = transaction.state.get_mut();
        state.is_announced = false;
        let batch = mem::take(&mut state.batch);
        let moving = state.moving.as_ref().map(|moving| (Arc::clone(&moving.changes), moving.upto));
        // The moving begins with the next commit: an entry tells whether its commit succeeded, so it stays that long.
        state.entry_bytes += batch.entry.len();
        let is_ripe = all || state.recent.bytes >= RIPE_BYTES || state.entry_bytes >= RIPE_ENTRY_BYTES;
        let ripens = state.moving.is_none() && is_ripe;
        let limit = match is_ripe {
            _ if all => usize::MAX,
            true => MOVED_IN_HASTE,
            false => MOVED_PER_COMMIT,
        };
        if ripens {
            state.entry_bytes = 0;
            let changes = Arc::new(mem::take(&mut state.recent));
            state.moving = Some(Moving { changes, upto: entry });
        }
        Taken { batch, entry, ripens, moving, limit }
    }

    /// The commit succeeded. `moved`: the last of the moving changes are in the tables.
    pub(super) fn committed(&self, taken: Taken, moved: bool) {
        let mut transaction = self.0.lock();
        let state = transaction.state.get_mut();
        let snapshot = state.snapshot.take();
        let moving = if moved { state.moving.take() } else { None };
        drop(transaction);
        // Outside the lock: this may take long.
        drop((snapshot, moving));
        tell(taken.batch.answers, Ok(()));
    }

    /// The file may be closed. It cannot be opened again while a snapshot is left.
    pub(super) fn forget_snapshot(&self) {
        self.0.lock().state.get_mut().snapshot = None;
    }

    /// The commit failed, or seemed to: until [`Journal::resume`] nothing is changed or read. Returns what was changed
    /// since, which fails with it.
    pub(super) fn halt(&self, error: &DatabaseError) -> Halted {
        let mut transaction = self.0.lock();
        let state = transaction.state.get_mut();
        state.halted = Some(error.clone());
        // The file cannot be closed while a snapshot is left.
        state.snapshot = None;
        Halted(mem::take(&mut state.batch))
    }

    /// Lets all changes move to the tables, however few they are.
    #[cfg(test)]
    pub(super) fn ripen_soon(&self) {
        self.0.lock().state.get_mut().recent.bytes += RIPE_BYTES;
    }

    /// Whether the tables have all changes.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let mut transaction = self.0.lock();
        let state = transaction.state.get_mut();
        state.moving.is_none() && state.recent.tables.iter().all(BTreeMap::is_empty)
    }

    /// It has turned out whether the commit of `taken` is durable after all.
    pub(super) fn resume(&self, taken: Taken, Halted(later): Halted, is_durable: bool, error: &DatabaseError) {
        let Taken { batch, ripens, moving, .. } = taken;
        drop(moving);
        let mut transaction = self.0.lock();
        let state = transaction.state.get_mut();
        later.undo.into_iter().rev().for_each(|undo| state.recent.restore(undo));
        if !is_durable {
            if ripens && let Some(moving) = state.moving.take() {
                // Nothing is left of the changes since then.
                state.recent = Arc::unwrap_or_clone(moving.changes);
            }
            batch.undo.into_iter().rev().for_each(|undo| state.recent.restore(undo));
        }
        state.halted = None;
        drop(transaction);
        tell(batch.answers, Err(error));
        tell(later.answers, Err(error));
    }

    /// There will be no more commits.
    pub(super) fn close(&self) {
        let Halted(rest) = self.halt(&DatabaseError::Closed);
        tell(rest.answers, Err(&DatabaseError::Closed));
    }
}

fn tell(answers: Vec<Answer>, outcome: Result<(), &DatabaseError>) {
    for answer in answers {
        if catch_unwind(AssertUnwindSafe(|| answer(outcome))).is_err() {
            error!("a caller of the database panicked after its change");
        }
    }
}

impl State {
    /// The change of a row that is not in its table yet.
    fn changed(&self, table: Table, key: &[u8]) -> Option<&Value> {
        let moving = || self.moving.as_ref()?.changes.get(table, key);
        self.recent.get(table, key).or_else(moving)
    }

    fn snapshot(&mut self, file: &File) -> Result<&Snapshot, redb::Error> {
        match &mut self.snapshot {
            Some(snapshot) => Ok(snapshot),
            none => Ok(none.insert(Snapshot::new(file.begin_read()?))),
        }
    }

    fn undo_from(&mut self, undo: usize, entry: usize) {
        for undo in self.batch.undo.drain(undo..).rev() {
            self.recent.restore(undo);
        }
        self.batch.entry.truncate(entry);
    }
}

/// What one commit makes durable, and which changes move to the tables with it.
pub(super) struct Taken {
    batch: Batch,
    entry: u64,
    /// Whether the changes began to move with this one.
    ripens: bool,
    moving: Option<(Arc<Changes>, u64)>,
    limit: usize,
}

/// Changes that came after the ones of a failed commit.
pub(super) struct Halted(Batch);

impl Halted {
    /// Tells all callers of the failed commit, without waiting for the file.
    pub(super) fn tell(&mut self, taken: &mut Taken, error: &DatabaseError) {
        tell(mem::take(&mut taken.batch.answers), Err(error));
        tell(mem::take(&mut self.0.answers), Err(error));
    }
}

impl Taken {
    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.entry.is_empty() && self.moving.is_none()
    }

    pub(super) fn ripens(&self) -> bool {
        self.ripens
    }

    pub(super) fn moves(&self) -> bool {
        self.moving.is_some()
    }

    /// Writes the entry, and moves changes from `place` on. Returns the place of the next, or `None` after the last.
    pub(super) fn write(
        &self,
        transaction: &WriteTransaction,
        place: Place,
        now_ms: u64,
    ) -> Result<Option<Place>, redb::Error> {
        if !self.batch.entry.is_empty() {
            transaction.open_table(JOURNAL)?.insert(self.entry, &*self.batch.entry)?;
        }
        let Some((changes, upto)) = &self.moving else { return Ok(None) };
        let next = tables::move_in(transaction, changes, place, self.limit, now_ms)?;
        if next.is_none() {
            transaction.open_table(JOURNAL)?.retain_in(..=*upto, |_, _| false)?;
        }
        Ok(next)
    }

    /// Whether the file has the entry.
    pub(super) fn is_in(&self, file: &File) -> Result<bool, redb::Error> {
        match file.begin_read()?.open_table(JOURNAL) {
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(false),
            table => Ok(ReadableTable::get(&table?, self.entry)?.is_some()),
        }
    }
}

/// Moves what an earlier process left in the journal to the tables.
pub(super) fn recover(file: &File, now_ms: u64) -> Result<(), redb::Error> {
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
    tables::move_in(&transaction, &changes, Place::default(), usize::MAX, now_ms)?;
    Ok(transaction.commit()?)
}

/// An entry is its changes, one after the other: the table (1 byte), the lengths of key and value (4 bytes each), key, value.
fn write_change(entry: &mut Vec<u8>, table: Table, key: &[u8], value: Option<&[u8]>) {
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
        changes.set(table, key, value.map(Into::into));
        if is_last {
            return Ok(());
        }
    }
}

/// What a work sees and changes.
pub(crate) struct Transaction {
    state: RefCell<State>,
    file: Arc<File>,
}

impl Transaction {
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Arc<[u8]>>, redb::Error> {
        let mut state = self.state.borrow_mut();
        match state.changed(table, key) {
            Some(value) => Ok(value.clone()),
            None => state.snapshot(&self.file)?.get(table, key),
        }
    }

    pub(crate) fn put(&self, table: Table, key: &[u8], value: Vec<u8>) {
        self.set(table, key, Some(value.into()), true);
    }

    /// As [`Transaction::put`], for a row that may be lost with the process.
    pub(crate) fn put_in_memory(&self, table: Table, key: &[u8], value: Vec<u8>) {
        self.set(table, key, Some(value.into()), false);
    }

    pub(crate) fn remove(&self, table: Table, key: &[u8]) {
        self.set(table, key, None, true);
    }

    fn set(&self, table: Table, key: &[u8], value: Value, is_durable: bool) {
        let state = &mut *self.state.borrow_mut();
        if is_durable {
            write_change(&mut state.batch.entry, table, key, value.as_deref());
        }
        let before = state.recent.set(table, key, value);
        state.batch.undo.push(Undo { table, key: key.into(), before });
    }

    /// Shows the rows of a table of the queue with keys from `from` to `to` (both included) to `visit`, in the order of
    /// their keys.
    pub(crate) fn visit(
        &self,
        table: Table,
        (from, to): (&[u8], &[u8]),
        visit: impl FnMut(&[u8], &Arc<[u8]>) -> ControlFlow<()>,
    ) -> Result<(), redb::Error> {
        self.walk(table, (from, to), false, visit)
    }

    /// The first row of the range of [`Transaction::visit`].
    pub(crate) fn first(&self, table: Table, range: (&[u8], &[u8])) -> Result<Option<KeyValue>, redb::Error> {
        self.end(table, range, false)
    }

    /// The last row of the range of [`Transaction::visit`].
    pub(crate) fn last(&self, table: Table, range: (&[u8], &[u8])) -> Result<Option<KeyValue>, redb::Error> {
        self.end(table, range, true)
    }

    fn end(&self, table: Table, range: (&[u8], &[u8]), is_last: bool) -> Result<Option<KeyValue>, redb::Error> {
        let mut found = None;
        self.walk(table, range, is_last, |key, value| {
            found = Some((key.into(), Arc::clone(value)));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Merges memory and table: of several changes of a row the latest counts.
    fn walk(
        &self,
        table: Table,
        (from, to): (&[u8], &[u8]),
        backwards: bool,
        mut visit: impl FnMut(&[u8], &Arc<[u8]>) -> ControlFlow<()>,
    ) -> Result<(), redb::Error> {
        let mut state = self.state.borrow_mut();
        state.snapshot(&self.file)?;
        let state = &*state;
        let moving = state.moving.as_ref().map(|moving| &*moving.changes);
        let changed = [Some(&state.recent), moving].into_iter().flatten().map(|changes| -> Rows<'_> {
            let rows = changes.tables[table.index()].range::<[u8], _>((Bound::Included(from), Bound::Included(to)));
            Box::new(rows.map(|(key, value)| Ok((Cow::Borrowed(&**key), value.clone()))))
        });
        let stored = match &state.snapshot {
            Some(snapshot) => Some(snapshot.range(table, from, to)?),
            None => None,
        };
        let stored = stored.map(|rows| -> Rows<'_> {
            Box::new(rows.map(|row| row.map(|(key, value)| (Cow::Owned(key.into()), Some(value)))))
        });
        // From the latest to the earliest.
        let mut sources: Vec<_> = changed.chain(stored).map(|rows| directed(rows, backwards).peekable()).collect();
        loop {
            let mut next: Option<Cow<'_, [u8]>> = None;
            for source in &mut sources {
                // An error comes out below.
                let Some(Ok((key, _))) = source.peek() else { continue };
                if next.as_ref().is_none_or(|next| if backwards { key > next } else { key < next }) {
                    next = Some(key.clone());
                }
            }
            let mut latest = None;
            for source in &mut sources {
                if let Some(row) =
                    source.next_if(|row| row.as_ref().map_or(true, |(key, _)| Some(key) == next.as_ref()))
                {
                    latest.get_or_insert(row?.1);
                }
            }
            let Some(key) = next else { return Ok(()) };
            if let Some(Some(value)) = latest
                && visit(&key, &value).is_break()
            {
                return Ok(());
            }
        }
    }
}

fn directed(rows: Rows<'_>, backwards: bool) -> Rows<'_> {
    if backwards { Box::new(rows.rev()) } else { rows }
}

/// Takes the changes of a work back, unless the work is done.
struct OrNothing<'a> {
    transaction: &'a mut Transaction,
    undo_before: usize,
    entry_before: usize,
    is_done: bool,
}

impl<'a> OrNothing<'a> {
    fn new(transaction: &'a mut Transaction) -> Self {
        let batch = &transaction.state.get_mut().batch;
        let (undo_before, entry_before) = (batch.undo.len(), batch.entry.len());
        Self { transaction, undo_before, entry_before, is_done: false }
    }
}

impl Drop for OrNothing<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.transaction.state.get_mut().undo_from(self.undo_before, self.entry_before);
        }
    }
}
