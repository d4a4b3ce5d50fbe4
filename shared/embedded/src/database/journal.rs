//! The journal: changes of rows, in memory at once and on the disk with the next commit.
//!
//! A change of the state or the queue goes into memory, under one lock, and into the journal's next entry. The writer's
//! thread commits the entry as one row, however many changes it has; the callers that must know wait for that commit.
//! Changes are in the order in which they were made, in memory and on the disk: once a change is durable, all changes before
//! it are. So only a change that the outside world learns of needs a wait of its own.
//!
//! Rows stay in memory until they have so many bytes, and then move to their [tables], some with each
//! commit; by then most have changed several times, or are gone. After a crash the rows are made of the journal's entries.

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use redb::WriteTransaction;
use tracing::error;

use super::error::DatabaseError;
use super::file::File;
use super::tables::{self, Snapshot, Table};
pub(super) use changes::{Changes, Key, Route};
use changes::{Undo, Value};
pub(super) use entry::recover;
pub(crate) use transaction::Transaction;

mod changes;
mod entry;
mod transaction;

/// How many bytes of changes are in memory before they begin to move to the tables.
const RIPE_BYTES: usize = if cfg!(test) { 64 * 1024 } else { 8 * 1024 * 1024 };

/// How many bytes of changes may be in memory before no message is taken any more.
const CROWDED_BYTES: usize = 8 * RIPE_BYTES;

/// How many bytes of entries there are before changes begin to move, if the same rows change again and again.
const RIPE_ENTRY_BYTES: usize = 4 * RIPE_BYTES;

/// How many changes move to the tables with a commit.
const MOVED_PER_COMMIT: usize = 256;
/// The same, while more changes come than move.
const MOVED_IN_HASTE: usize = 2_048;

/// Tells a caller how the commit of its changes ended.
pub(super) type Answer = Box<dyn FnOnce(Result<(), &DatabaseError>) + Send>;

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
        let entry_before = transaction.state.get_mut().batch.entry.len();
        let value = transaction.run(work)?;
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
            // The further behind, the larger the steps.
            true => MOVED_IN_HASTE * (state.recent.bytes / RIPE_BYTES).max(1),
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

    /// The file is opened anew: until [`Journal::go_on`] nothing is changed or read.
    pub(super) fn suspend(&self, error: &DatabaseError) {
        let mut transaction = self.0.lock();
        let state = transaction.state.get_mut();
        state.halted = Some(error.clone());
        // The file cannot be closed while a snapshot is left.
        state.snapshot = None;
    }

    pub(super) fn go_on(&self) {
        self.0.lock().state.get_mut().halted = None;
    }

    /// Whether more changes are in memory than should be: the disk does not keep up.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.lock().state.get_mut().recent.bytes > CROWDED_BYTES
    }

    /// The commit failed, or seemed to: until [`Journal::resume`] nothing is changed or read. Returns what was changed
    /// since, which fails with it.
    pub(super) fn halt(&self, error: &DatabaseError) -> Halted {
        self.suspend(error);
        Halted(mem::take(&mut self.0.lock().state.get_mut().batch))
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
        state.moving.is_none() && state.recent.is_empty()
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

    /// Writes the entry, and moves changes along `route`. Returns the rest of the route, or `None` after the last.
    pub(super) fn write(
        &self,
        transaction: &WriteTransaction,
        route: Route,
        now_ms: u64,
    ) -> Result<Option<Route>, redb::Error> {
        if !self.batch.entry.is_empty() {
            entry::insert(transaction, self.entry, &self.batch.entry)?;
        }
        let Some((changes, upto)) = &self.moving else { return Ok(None) };
        let route = if route.has_begun() { route } else { Route::of(changes) };
        let (rows, rest) = route.step(self.limit);
        tables::move_in(transaction, changes, rows, now_ms)?;
        if rest.is_none() {
            entry::remove_upto(transaction, *upto)?;
        }
        Ok(rest)
    }

    /// Whether the file has the entry.
    pub(super) fn is_in(&self, file: &File) -> Result<bool, redb::Error> {
        entry::is_in(file, self.entry)
    }
}
