//! Changed rows in memory.

use std::collections::btree_map::{BTreeMap, Range};
use std::collections::hash_map::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::database::tables::Table;

/// What a row takes in memory beside its bytes.
const ROW_BYTES: usize = 96;

pub(in crate::database) type Key = Arc<[u8]>;
/// `None`: the row was removed.
pub(super) type Value = Option<Arc<[u8]>>;

/// The latest change of each changed row, by table.
#[derive(Clone)]
pub(in crate::database) struct Changes {
    tables: [Rows; Table::COUNT],
    /// What the changes take in memory, about.
    pub(super) bytes: usize,
}

/// The changes of one table.
#[derive(Clone)]
enum Rows {
    /// Each row is looked up by its key. A tree of so long and so similar keys would cost several times as much.
    ByKey(HashMap<Key, Value>),
    /// Rows are also read in the order of their keys.
    InOrder(BTreeMap<Key, Value>),
}

impl Rows {
    fn get(&self, key: &[u8]) -> Option<&Value> {
        match self {
            Self::ByKey(rows) => rows.get(key),
            Self::InOrder(rows) => rows.get(key),
        }
    }

    fn insert(&mut self, key: Key, value: Value) -> Option<Value> {
        match self {
            Self::ByKey(rows) => rows.insert(key, value),
            Self::InOrder(rows) => rows.insert(key, value),
        }
    }

    fn remove(&mut self, key: &[u8]) -> Option<Value> {
        match self {
            Self::ByKey(rows) => rows.remove(key),
            Self::InOrder(rows) => rows.remove(key),
        }
    }

    fn sorted_keys(&self) -> Vec<Key> {
        match self {
            Self::ByKey(rows) => {
                let mut keys: Vec<_> = rows.keys().cloned().collect();
                keys.sort_unstable();
                keys
            }
            Self::InOrder(rows) => rows.keys().cloned().collect(),
        }
    }
}

impl Default for Changes {
    fn default() -> Self {
        let rows = |table: Table| match table.is_of_queue() {
            true => Rows::InOrder(BTreeMap::new()),
            false => Rows::ByKey(HashMap::new()),
        };
        Self { tables: Table::ALL.map(rows), bytes: 0 }
    }
}

impl Changes {
    pub(in crate::database) fn get(&self, table: Table, key: &[u8]) -> Option<&Value> {
        self.tables[table.index()].get(key)
    }

    /// Records the latest change of a row that has its earlier changes here, or is in its table. Returns the change that
    /// `value` replaces.
    pub(super) fn set(&mut self, table: Table, key: Key, value: Value) -> Option<Value> {
        // No key of a removed row of the queue ever comes again.
        if value.is_none() && table.is_of_queue() && matches!(self.get(table, &key), Some(Some(_))) {
            // The row came here and nowhere else, so nothing need be removed from the table.
            return self.erase(table, &key);
        }
        self.record(table, key, value)
    }

    /// As [`Changes::set`], for a row whose earlier changes may be here and in its table.
    pub(super) fn record(&mut self, table: Table, key: Key, value: Value) -> Option<Value> {
        let (key_bytes, value_bytes) = (key.len(), bytes_of(&value));
        let before = self.tables[table.index()].insert(key, value);
        self.bytes += value_bytes;
        match &before {
            Some(before) => self.bytes -= bytes_of(before),
            None => self.bytes += key_bytes + ROW_BYTES,
        }
        before
    }

    /// Changes of a table of the queue with keys from `from` to `to`, both included.
    pub(super) fn range(&self, table: Table, from: &[u8], to: &[u8]) -> Option<Range<'_, Key, Value>> {
        match &self.tables[table.index()] {
            Rows::InOrder(rows) => Some(rows.range::<[u8], _>((Bound::Included(from), Bound::Included(to)))),
            Rows::ByKey(_) => None,
        }
    }

    pub(super) fn restore(&mut self, undo: Undo) {
        match undo.before {
            Some(before) => drop(self.record(undo.table, undo.key, before)),
            None => drop(self.erase(undo.table, &undo.key)),
        }
    }

    fn erase(&mut self, table: Table, key: &[u8]) -> Option<Value> {
        let erased = self.tables[table.index()].remove(key);
        if let Some(value) = &erased {
            self.bytes -= bytes_of(value) + key.len() + ROW_BYTES;
        }
        erased
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

fn bytes_of(value: &Value) -> usize {
    value.as_ref().map_or(0, |value| value.len())
}

/// The way of [`Changes`] into their tables: table by table, each in the order of its keys.
#[derive(Clone, Default)]
pub(in crate::database) struct Route {
    rows: Arc<Vec<(Table, Key)>>,
    next: usize,
}

impl Route {
    pub(super) fn of(changes: &Changes) -> Self {
        let rows = Table::ALL
            .into_iter()
            .flat_map(|table| changes.tables[table.index()].sorted_keys().into_iter().map(move |key| (table, key)));
        Self { rows: Arc::new(rows.collect()), next: 0 }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.next > 0
    }

    /// The next rows, and the route from there on; none after the last.
    pub(super) fn step(&self, limit: usize) -> (&[(Table, Key)], Option<Self>) {
        let end = self.next.saturating_add(limit).min(self.rows.len());
        let rest = (end < self.rows.len()).then(|| Self { rows: self.rows.clone(), next: end });
        (&self.rows[self.next..end], rest)
    }
}

/// The change of a row, for the case that its commit fails.
pub(super) struct Undo {
    pub(super) table: Table,
    pub(super) key: Key,
    /// What was there, if there was a change.
    pub(super) before: Option<Value>,
}
