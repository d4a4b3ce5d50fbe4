//! What a work sees: memory and tables as one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::State;
use super::changes::{Key, Undo, Value};
use super::entry::write_change;
use crate::database::error::DatabaseError;
use crate::database::file::File;
use crate::database::tables::{KeyValue, Table};

/// Rows in the order of their keys, from both ends.
type Rows<'a> = Box<dyn DoubleEndedIterator<Item = Result<(Cow<'a, [u8]>, Value), redb::Error>> + 'a>;

/// What a work sees and changes.
pub(crate) struct Transaction {
    pub(super) state: RefCell<State>,
    pub(super) file: Arc<File>,
}

impl Transaction {
    /// Does `work`. After an error or a panic nothing was changed.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&Self) -> Result<T, redb::Error>) -> Result<T, DatabaseError> {
        let mut whole = OrNothing::new(self);
        let value = work(whole.transaction).map_err(|error| whole.transaction.file.describe(&error))?;
        whole.is_done = true;
        Ok(value)
    }

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
        let key: Key = key.into();
        let before = state.recent.set(table, Arc::clone(&key), value);
        state.batch.undo.push(Undo { table, key, before });
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
        let changed = [Some(&state.recent), moving].into_iter().flatten();
        let changed = changed
            .filter_map(|changes| changes.range(table, from, to))
            .map(|rows| -> Rows<'_> { Box::new(rows.map(|(key, value)| Ok((Cow::Borrowed(&**key), value.clone())))) });
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
