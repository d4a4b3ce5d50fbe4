//! One database file for a deployment of one process: what the embedded [`store`](crate::store) and
//! [`queue`](crate::queue) stand on.
//!
//! All writes go through one thread, which takes what is waiting (up to [`MAX_BATCH`] writes), runs it in one
//! transaction and answers each caller after the transaction is on the disk. So a write costs one fsync when it is
//! alone, and a share of one when it is not.

use std::path::Path;
use std::sync::Arc;

use kefu_runtime::health::Health;
use redb::{ReadTransaction, WriteTransaction};
use tokio::sync::{mpsc, oneshot, watch};

mod clock;
mod error;
mod file;
mod identity;
mod outage;
mod reserved;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use clock::{Clock, millis};
pub use error::DatabaseError;
use file::File;
use writer::{Job, Write};

/// The name of the database file below the data folder.
pub const FILE_NAME: &str = "kefu.redb";

/// How many writes one transaction takes at most.
pub const MAX_BATCH: usize = 256;

/// How many writes may wait for the writer thread; more callers wait for room.
const MAX_WAITING: usize = 1_024;

/// The database of this process. Clones are cheap and share the file.
///
/// The file is closed when the last clone is gone, and those of what was opened on it (`Stores`, publishers, consumers,
/// deliveries), after the writes that were handed over are on the disk. That takes place on the writer's thread;
/// [`Database::close`] waits for it.
#[derive(Clone)]
pub struct Database {
    jobs: mpsc::Sender<Box<dyn Job>>,
    file: Arc<File>,
    clock: Clock,
    opening: u64,
    closed: watch::Receiver<()>,
}

impl Database {
    /// Opens the database below the data folder `folder`, or creates it.
    ///
    /// Blocks, for longer after a crash: the file is then checked and repaired. A file that is held by a process that
    /// is just ending is waited for, for one second at most.
    pub fn open(folder: &Path) -> Result<Self, DatabaseError> {
        Self::start(File::open(folder)?)
    }

    fn start(file: File) -> Result<Self, DatabaseError> {
        let file = Arc::new(file);
        let opening = file.begin_life()?;
        let (jobs, waiting) = mpsc::channel(MAX_WAITING);
        let (closing, closed) = watch::channel(());
        writer::spawn(waiting, Arc::clone(&file), closing)?;
        Ok(Self { jobs, file, clock: Clock::start(), opening, closed })
    }

    /// Whether writes can be served: down while the file cannot be opened, for 5 seconds after a write that failed unless
    /// one succeeds, and while the file is not where it was opened (writes are served then, but end with the process).
    pub fn health(&self) -> Health {
        self.file.health()
    }

    /// Waits until the file is closed and can be opened again. All other clones must be gone, or be going: it waits for
    /// them too.
    pub async fn close(self) {
        let mut closed = self.closed.clone();
        drop(self);
        // The thread never sends: the only end is that it drops its half.
        while closed.changed().await.is_ok() {}
    }

    /// Closes the file after the writes that were handed over before, though other clones are left: what they ask from
    /// then on fails as [`DatabaseError::Closed`]. For the end of a process, where nobody knows who is left.
    pub async fn end(self) {
        let file = Arc::clone(&self.file);
        let last = Write::new(|_| Ok(()), move |_| file.end());
        // Without a receiver the thread has ended, or is about to.
        self.jobs.send(Box::new(last)).await.ok();
        self.close().await;
    }

    /// Runs `work` in a transaction and returns its value once that is on the disk. On an error nothing of it, or all
    /// of it, was done: nearly always nothing, but a commit that failed half-way may turn out to have succeeded.
    ///
    /// `work` shares the transaction with other callers' works, in the order in which they were handed over. Its `Err`
    /// is for storage errors only, since it fails all of them; whatever is an outcome is a value.
    pub async fn write<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        self.write_then(work, |_| ()).await
    }

    /// As [`Database::write`]; `then` is told the outcome first, on the writer's thread, in the order of the works, and
    /// even when this future is dropped after the hand-over. When it is dropped before, both are dropped unrun. What
    /// `then` returns is dropped once the caller has been answered.
    pub(crate) async fn write_then<T, F, G, K>(&self, work: F, then: G) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send + 'static,
        G: FnOnce(Result<&T, &DatabaseError>) -> K + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Write::new(work, move |outcome| {
            let kept = then(outcome.as_ref());
            // A caller who has gone does not want the answer.
            answer.send(outcome).ok();
            drop(kept);
        });
        self.jobs.send(Box::new(job)).await.map_err(|_| DatabaseError::Closed)?;
        answered.await.map_err(|_| DatabaseError::Closed)?
    }

    /// Runs `work` on a snapshot, on a thread where waiting for the disk hurts nobody. That costs some 40 µs more than
    /// reading on the spot, so readers take many rows at once.
    pub async fn read<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        let file = Arc::clone(&self.file);
        let outcome = tokio::task::spawn_blocking(move || file.read(work)).await;
        let outcome = outcome.unwrap_or_else(|ended| Err(ended.into()));
        if outcome.is_err() {
            // redb refuses everything after an error of the disk. Only the writer opens the file anew, so it has to
            // meet the error too; when its queue is full it is about to.
            self.jobs.try_send(Box::new(Write::new(|_| Ok(()), |_| ()))).ok();
        }
        outcome
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Which opening of the file this is, counted from 1. Only one process has the file open, so whatever holds a lease
    /// of an earlier opening is dead.
    pub(crate) fn opening(&self) -> u64 {
        self.opening
    }
}
