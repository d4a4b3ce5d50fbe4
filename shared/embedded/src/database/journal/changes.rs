//! Changed rows in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use crate::database::tables::Table;

/// What a row takes in memory beside its bytes.
const ROW_BYTES: usize = 96;

pub(in crate::database) type Key = Box<[u8]>;
/// `None`: the row was removed.
pub(super) type Value = Option<Arc<[u8]>>;

/// The latest change of each changed row, by table.
#[derive(Clone, Default)]
pub(in crate::database) struct Changes {
    tables: [BTreeMap<Key, Value>; Table::COUNT],
    /// What the changes take in memory, about.
    pub(super) bytes: usize,
}

impl Changes {
    pub(in crate::database) fn table(&self, table: usize) -> &BTreeMap<Key, Value> {
        &self.tables[table]
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<&Value> {
        self.tables[table.index()].get(key)
    }

    /// Records the latest change of a row that has its earlier changes here, or is in its table. Returns the change that
    /// `value` replaces.
    pub(super) fn set(&mut self, table: Table, key: &[u8], value: Value) -> Option<Value> {
        if value.is_none() && table.has_each_key_once() && matches!(self.get(table, key), Some(Some(_))) {
            // The row came here and nowhere else, so nothing need be removed from the table.
            return self.erase(table, key);
        }
        self.record(table, key, value)
    }

    /// As [`Changes::set`], for a row whose earlier changes may be here and in its table.
    pub(super) fn record(&mut self, table: Table, key: &[u8], value: Value) -> Option<Value> {
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

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.tables.iter().all(BTreeMap::is_empty)
    }

    pub(super) fn rows(&self, table: Table, from: &[u8], to: &[u8]) -> Range<'_, Key, Value> {
        self.tables[table.index()].range::<[u8], _>((Bound::Included(from), Bound::Included(to)))
    }

    pub(super) fn restore(&mut self, undo: Undo) {
        match undo.before {
            Some(before) => drop(self.record(undo.table, &undo.key, before)),
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
pub(in crate::database) struct Place {
    pub(in crate::database) table: usize,
    /// The last key before the place.
    pub(in crate::database) after: Option<Key>,
}

/// The change of a row, for the case that its commit fails.
pub(super) struct Undo {
    pub(super) table: Table,
    pub(super) key: Key,
    /// What was there, if there was a change.
    pub(super) before: Option<Value>,
}
