//! One database file for a deployment of one process: the base of the embedded [`store`](crate::store) and
//! [`queue`](crate::queue).
//!
//! All writes go through one thread. The thread takes the waiting writes (up to [`MAX_BATCH`]), runs them in one
//! transaction, and answers each caller after the transaction is on the disk. So a single write costs one fsync, and
//! several writes share one.
//!
//! The rows of the store and the queue change in memory first: see [`journal`].

use std::path::Path;
use std::sync::Arc;

use kefu_runtime::health::Health;
use redb::{ReadTransaction, WriteTransaction};
use tokio::sync::{mpsc, oneshot, watch};

mod clock;
mod error;
mod file;
mod journal;
mod outage;
mod reserved;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use clock::{Clock, millis};
pub use error::DatabaseError;
use file::File;
pub(crate) use journal::Transaction;
use journal::{Answer, Journal};
pub(crate) use tables::{Table, expiring_row, expiry_of};
use writer::{Task, Write};

/// The name of the database file below the data folder.
pub const FILE_NAME: &str = "kefu.redb";

/// How many writes one transaction takes at most.
pub const MAX_BATCH: usize = 256;

/// How many writes may wait for the writer thread; other callers wait for room.
const MAX_WAITING: usize = 1_024;

/// A work that was done in memory.
pub(crate) struct Changed<T>(oneshot::Receiver<Result<T, DatabaseError>>);

impl<T> Changed<T> {
    /// Waits until the changes are on the disk.
    pub(crate) async fn durable(self) -> Result<T, DatabaseError> {
        self.0.await.map_err(|_| DatabaseError::Closed)?
    }
}

/// The database of this process. Clones are cheap and share the file.
///
/// The file is closed when the last clone is gone, together with everything that was opened on the database (`Stores`,
/// publishers, consumers, deliveries), and after the submitted writes are on the disk. The writer's thread closes the file;
/// [`Database::close`] waits for the close.
#[derive(Clone)]
pub struct Database {
    tasks: mpsc::Sender<Task>,
    file: Arc<File>,
    journal: Arc<Journal>,
    clock: Clock,
    opening: u64,
    closed: watch::Receiver<()>,
}

impl Database {
    /// Opens the database below the data folder `folder`, or creates it.
    ///
    /// Blocks, for longer after a crash: the file is then checked and repaired. If a process that is just ending still
    /// holds the file, the function waits for one second at most.
    pub fn open(folder: &Path) -> Result<Self, DatabaseError> {
        Self::start(File::open(folder)?)
    }

    fn start(file: File) -> Result<Self, DatabaseError> {
        let file = Arc::new(file);
        let opening = file.begin_life()?;
        let clock = Clock::start();
        journal::recover(&file, clock.now_ms()).map_err(|error| file.unreadable(error))?;
        let journal = Arc::new(Journal::new(Arc::clone(&file)));
        let (tasks, waiting) = mpsc::channel(MAX_WAITING);
        let (closing, closed) = watch::channel(());
        writer::spawn(waiting, Arc::clone(&file), Arc::clone(&journal), clock.clone(), closing)?;
        Ok(Self { tasks, file, journal, clock, opening, closed })
    }

    /// Whether writes can be served. The database is down while the file cannot be opened, for 5 seconds after a failed
    /// write unless a write succeeds, and while the file is no longer in its place (writes are served then, but end with
    /// the process).
    pub fn health(&self) -> Health {
        self.file.health()
    }

    /// Waits until the file is closed and can be opened again. All other clones must be gone, or about to go, because this
    /// method waits for them too.
    pub async fn close(self) {
        let mut closed = self.closed.clone();
        drop(self);
        // The thread never sends: the wait ends when the thread drops its half.
        while closed.changed().await.is_ok() {}
    }

    /// Closes the file after the writes that were submitted before, even if other clones are left: their later calls fail
    /// as [`DatabaseError::Closed`]. For the end of a process, where the remaining clones are unknown.
    pub async fn end(self) {
        let file = Arc::clone(&self.file);
        let last = Write::new(|_| Ok(()), move |_| file.end());
        // Without a receiver the thread has ended, or is about to.
        self.tasks.send(Task::Job(Box::new(last))).await.ok();
        self.close().await;
    }

    /// Runs `work` in a transaction and returns its value once the transaction is on the disk. After an error nothing of
    /// the work was done, or all of it: nearly always nothing, but a commit that failed half-way may turn out to have
    /// succeeded.
    ///
    /// `work` shares the transaction with other callers' works, in the order of their submission. An `Err` of `work` is for
    /// storage errors only, because it fails all of the works; any other outcome is a value.
    pub async fn write<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        // A caller that has gone does not want the answer.
        let job = Write::new(work, move |outcome| drop(answer.send(outcome)));
        self.tasks.send(Task::Job(Box::new(job))).await.map_err(|_| DatabaseError::Closed)?;
        answered.await.map_err(|_| DatabaseError::Closed)?
    }

    /// Lets `work` look at rows and change them, and returns its value. The changes count at once, and are on the disk
    /// before any change that is made later. Until then they are lost with the process, or with a disk that fails.
    ///
    /// Blocks for as long as other works do, or for a read from the disk. An `Err` of `work` is for storage errors only;
    /// nothing was changed then.
    pub(crate) fn change_soon<T>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, redb::Error>,
    ) -> Result<T, DatabaseError> {
        self.submit(work, |value, _| (value, None))
    }

    /// As [`Database::change_soon`], and gives the outcome of the changes to `then`, on the writer's thread.
    pub(crate) fn change_soon_then<T>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, redb::Error>,
        then: impl FnOnce(Result<(), &DatabaseError>) + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.submit(work, |value, has_changed| (value, has_changed.then(|| Box::new(then) as Answer)))
    }

    /// As [`Database::change_soon`], but returns once the changes are on the disk. After an error nothing of the work was
    /// done, or all of it, as with [`Database::write`].
    pub(crate) async fn change<T>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, redb::Error>,
    ) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
    {
        self.change_then(work, |_| ()).durable().await
    }

    /// As [`Database::change`], for a caller that has something to do before it waits. `then` gets the outcome before the
    /// caller, in the order of the works, even if the caller does not wait. The result of `then` is dropped once the caller
    /// has its answer.
    pub(crate) fn change_then<T, G, K>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, redb::Error>,
        then: G,
    ) -> Changed<T>
    where
        T: Send + 'static,
        G: FnOnce(Result<&T, &DatabaseError>) -> K + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let mut finish = Some(move |outcome: Result<T, DatabaseError>| {
            let kept = then(outcome.as_ref());
            // A caller that has gone does not want the answer.
            answer.send(outcome).ok();
            drop(kept);
        });
        let submitted = self.submit(work, |value, has_changed| match finish.take() {
            Some(finish) if has_changed => {
                let answer =
                    |outcome: Result<(), &DatabaseError>| finish(outcome.map(|()| value).map_err(Clone::clone));
                (None, Some(Box::new(answer) as Answer))
            }
            unused => {
                finish = unused;
                (Some(value), None)
            }
        });
        if let (Some(outcome), Some(finish)) = (submitted.transpose(), finish) {
            finish(outcome);
        }
        Changed(answered)
    }

    fn submit<T, R>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, redb::Error>,
        answer: impl FnOnce(T, bool) -> (R, Option<Answer>),
    ) -> Result<R, DatabaseError> {
        let submitted = self.journal.change(work, answer);
        match submitted {
            Ok((result, tell)) => {
                if tell {
                    // The thread of a full channel looks at the journal anyway.
                    self.tasks.try_send(Task::Changes).ok();
                }
                Ok(result)
            }
            Err(error) => {
                self.have_mended();
                Err(error)
            }
        }
    }

    /// Whether the disk does not keep up with the changes, so that no more should come.
    pub(crate) fn is_crowded(&self) -> bool {
        self.journal.is_crowded()
    }

    /// After an error of the disk redb refuses everything. Only the writer opens the file anew, so the writer must meet the
    /// error too; a writer with a full queue is about to.
    fn have_mended(&self) {
        self.tasks.try_send(Task::Job(Box::new(Write::new(|_| Ok(()), |_| ())))).ok();
    }

    /// Runs `work` on a snapshot, on a thread where waiting for the disk hurts nobody. This costs some 40 µs more than a
    /// read on the caller's thread, so readers take many rows at once.
    pub async fn read<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        let file = Arc::clone(&self.file);
        let outcome = tokio::task::spawn_blocking(move || file.read(work)).await;
        let outcome = outcome.unwrap_or_else(|ended| Err(ended.into()));
        if outcome.is_err() {
            self.have_mended();
        }
        outcome
    }

    /// Returns when all changes so far are in the tables.
    #[cfg(test)]
    pub(crate) async fn move_all(&self) {
        self.journal.ripen_soon();
        while !self.journal.is_empty() {
            self.write(|_| Ok(())).await.unwrap();
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The number of this opening of the file, counted from 1. Only one process has the file open, so the holder of a lease
    /// from an earlier opening is dead.
    pub(crate) fn opening(&self) -> u64 {
        self.opening
    }
}
