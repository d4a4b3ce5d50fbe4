//! The thread for all writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kefu_runtime::Cause;
use redb::WriteTransaction;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tracing::error;

use super::MAX_BATCH;
use super::clock::Clock;
use super::error::DatabaseError;
use super::file::File;
use super::journal::{Halted, Journal, Route, Taken};

/// How often the thread tries again to open a database after a failure.
const REOPEN_EVERY: Duration = Duration::from_millis(200);

/// How long after the beginning of a commit the next one begins at the earliest, so that a commit under load has the changes of
/// many callers.
const COMMIT_EVERY: Duration = Duration::from_millis(1);

/// One caller's part of a transaction.
pub(super) trait Job: Send {
    /// Does the work. Called at most once.
    fn run(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error>;
    /// Gives the caller the outcome of the transaction. Called once, at the end.
    fn finish(self: Box<Self>, outcome: Result<(), DatabaseError>);
}

/// A [`Job`] of two closures.
pub(super) struct Write<T, F, G> {
    work: Option<F>,
    value: Option<T>,
    then: G,
}

impl<T, F, G> Write<T, F, G>
where
    T: Send,
    F: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send,
    G: FnOnce(Result<T, DatabaseError>) + Send,
{
    pub(super) fn new(work: F, then: G) -> Self {
        Self { work: Some(work), value: None, then }
    }
}

impl<T, F, G> Job for Write<T, F, G>
where
    T: Send,
    F: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send,
    G: FnOnce(Result<T, DatabaseError>) + Send,
{
    fn run(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(transaction)?);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), DatabaseError>) {
        let Self { value, then, .. } = *self;
        then(outcome.and_then(|()| value.ok_or(DatabaseError::Closed)));
    }
}

/// Wakes the thread.
pub(super) enum Task {
    /// A work on tables that are not in the journal.
    Job(Box<dyn Job>),
    /// The journal has changes to commit.
    Changes,
}

/// Starts the thread. The thread ends when all senders are gone and their jobs are done, or when the file is to end; then
/// it drops `closing`.
pub(super) fn spawn(
    tasks: mpsc::Receiver<Task>,
    file: Arc<File>,
    journal: Arc<Journal>,
    clock: Clock,
    closing: watch::Sender<()>,
) -> Result<(), DatabaseError> {
    let mut writer = Writer {
        next_commit: Instant::now(),
        file,
        journal,
        clock,
        entries: 0,
        route: Route::default(),
        moves: false,
        undecided: None,
    };
    thread::Builder::new()
        .name("kefu-database".to_owned())
        .spawn(move || {
            writer.serve(tasks);
            // The first moves what was on its way to the tables, the last takes the rest there.
            (0..3).try_for_each(|_| writer.commit(&mut [], true)).ok();
            writer.journal.close();
            writer.file.close();
            drop(closing);
        })
        .map(drop)
        .map_err(|error| DatabaseError::Failed(Cause::from(error).at("its thread cannot be started")))
}

struct Writer {
    /// When the next commit may begin.
    next_commit: Instant,
    file: Arc<File>,
    journal: Arc<Journal>,
    clock: Clock,
    /// The number of the journal's next entry.
    entries: u64,
    /// The way of the changes that move to the tables.
    route: Route,
    /// Whether changes are left to move.
    moves: bool,
    /// A commit that failed, while the file cannot say whether it is durable all the same.
    undecided: Option<(Taken, Halted, DatabaseError)>,
}

impl Drop for Writer {
    /// Also when the thread panics: nobody may wait for a commit that never comes.
    fn drop(&mut self) {
        self.journal.close();
    }
}

impl Writer {
    fn serve(&mut self, mut tasks: mpsc::Receiver<Task>) {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(MAX_BATCH);
        while !self.file.ends() {
            let works = self.file.is_open() && self.undecided.is_none();
            if works && !self.moves {
                if tasks.blocking_recv_many(&mut waiting, MAX_BATCH) == 0 {
                    return;
                }
            } else {
                if !works {
                    // Callers may send nothing while health() says down, so the database must come up by itself.
                    #[expect(clippy::disallowed_methods, reason = "the writer has a thread of its own")]
                    thread::sleep(REOPEN_EVERY);
                    if !self.file.is_open() {
                        self.file.reopen();
                    }
                    self.decide();
                }
                while waiting.len() < MAX_BATCH {
                    match tasks.try_recv() {
                        Ok(task) => waiting.push(task),
                        Err(TryRecvError::Disconnected) if waiting.is_empty() => return,
                        Err(_) => break,
                    }
                }
                if waiting.is_empty() && !self.moves {
                    continue;
                }
            }
            batch.extend(waiting.drain(..).filter_map(|task| match task {
                Task::Job(job) => Some(job),
                Task::Changes => None,
            }));
            self.pause();
            let outcome = self.commit(&mut batch, false);
            for job in batch.drain(..) {
                let finish = AssertUnwindSafe(|| job.finish(outcome.clone()));
                if catch_unwind(finish).is_err() {
                    error!("a caller of the database panicked after its write");
                }
            }
        }
    }

    /// Lets changes gather, unless the last commit is long ago.
    fn pause(&mut self) {
        let pause = self.next_commit.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            #[expect(clippy::disallowed_methods, reason = "the writer has a thread of its own")]
            thread::sleep(pause);
        }
        self.next_commit = Instant::now() + COMMIT_EVERY;
    }

    /// Commits the whole batch and the journal's changes, or nothing. `all`: all changes move to the tables.
    fn commit(&mut self, batch: &mut [Box<dyn Job>], all: bool) -> Result<(), DatabaseError> {
        if self.undecided.is_some() {
            // The file is not open, and what a failed commit changed in memory is not undone yet.
            return Err(self.file.describe(&redb::Error::DatabaseClosed));
        }
        let taken = self.journal.take(self.entries, all);
        self.entries += 1;
        if batch.is_empty() && taken.is_empty() {
            self.moves |= taken.ripens();
            return Ok(());
        }
        let begun = self.file.begin_write().or_else(|error| {
            // Nothing has begun, so the batch itself need not fail because of an earlier batch's or a reader's error.
            // Whoever looks meanwhile would wait for the file under the lock of all.
            self.journal.suspend(&self.file.describe(&error));
            self.file.recover(&error);
            self.journal.go_on();
            self.file.begin_write()
        });
        let (route, now_ms) = (self.route.clone(), self.clock.now_ms());
        let attempt = AssertUnwindSafe(|| -> Result<Option<Route>, redb::Error> {
            let transaction = begun?;
            for job in batch {
                job.run(&transaction)?;
            }
            let rest = taken.write(&transaction, route, now_ms)?;
            transaction.commit()?;
            Ok(rest)
        });
        let error = match catch_unwind(attempt) {
            Ok(Ok(rest)) => {
                self.file.outage.committed();
                let moved = taken.moves() && rest.is_none();
                self.moves = rest.is_some() || taken.ripens();
                self.route = rest.unwrap_or_default();
                self.journal.committed(taken, moved);
                return Ok(());
            }
            Ok(Err(error)) => {
                let told = self.file.describe(&error);
                let halted = self.journal.halt(&told);
                self.file.recover(&error);
                self.undecided = Some((taken, halted, told.clone()));
                told
            }
            Err(_) => {
                // redb leaks the pages of a transaction that a panic ended, until the next opening of the file.
                let error = DatabaseError::Failed("a write panicked".into());
                let halted = self.journal.halt(&error);
                self.file.outage.failed(error.clone(), false);
                self.file.reopen();
                self.undecided = Some((taken, halted, error.clone()));
                error
            }
        };
        self.moves = false;
        self.decide();
        if let Some((taken, halted, error)) = &mut self.undecided {
            halted.tell(taken, error);
        }
        Err(error)
    }

    /// Finds out whether a commit that failed is durable all the same, once the file is open.
    fn decide(&mut self) {
        let Some((taken, halted, error)) = self.undecided.take() else { return };
        match taken.is_in(&self.file) {
            Ok(is_durable) => self.journal.resume(taken, halted, is_durable, &error),
            Err(unread) => {
                self.file.recover(&unread);
                self.undecided = Some((taken, halted, error));
            }
        }
    }
}
