//! The thread for all writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kefu_runtime::Cause;
use redb::WriteTransaction;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tracing::error;

use super::MAX_BATCH;
use super::error::DatabaseError;
use super::file::File;

/// How often the thread tries again to open a database after a failure.
const REOPEN_EVERY: Duration = Duration::from_millis(200);

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

/// Starts the thread. The thread ends when all senders are gone and their jobs are done, or when the file is to end; then
/// it drops `closing`.
pub(super) fn spawn(
    jobs: mpsc::Receiver<Box<dyn Job>>,
    file: Arc<File>,
    closing: watch::Sender<()>,
) -> Result<(), DatabaseError> {
    thread::Builder::new()
        .name("kefu-database".to_owned())
        .spawn(move || {
            serve(jobs, &file);
            file.close();
            drop(closing);
        })
        .map(drop)
        .map_err(|error| DatabaseError::Failed(Cause::from(error).at("its thread cannot be started")))
}

fn serve(mut jobs: mpsc::Receiver<Box<dyn Job>>, file: &File) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while !file.ends() {
        if file.is_open() {
            if jobs.blocking_recv_many(&mut batch, MAX_BATCH) == 0 {
                return;
            }
        } else {
            // Callers may send nothing while health() says down, so the database must come up by itself.
            #[expect(clippy::disallowed_methods, reason = "the writer has a thread of its own")]
            thread::sleep(REOPEN_EVERY);
            file.reopen();
            match jobs.try_recv() {
                Ok(job) => batch.push(job),
                Err(TryRecvError::Empty) => continue,
                Err(TryRecvError::Disconnected) => return,
            }
            while batch.len() < MAX_BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
        }
        let outcome = commit(file, &mut batch);
        for job in batch.drain(..) {
            let finish = AssertUnwindSafe(|| job.finish(outcome.clone()));
            if catch_unwind(finish).is_err() {
                error!("a caller of the database panicked after its write");
            }
        }
    }
}

/// Commits the whole batch, or nothing.
fn commit(file: &File, batch: &mut [Box<dyn Job>]) -> Result<(), DatabaseError> {
    let transaction = file.begin_write().or_else(|error| {
        // Nothing has begun, so the batch itself need not fail because of an earlier batch's or a reader's error.
        file.recover(&error);
        file.begin_write()
    });
    let attempt = AssertUnwindSafe(|| -> Result<(), redb::Error> {
        let transaction = transaction?;
        for job in batch {
            job.run(&transaction)?;
        }
        Ok(transaction.commit()?)
    });
    match catch_unwind(attempt) {
        Ok(Ok(())) => {
            file.outage.committed();
            Ok(())
        }
        Ok(Err(error)) => Err(file.recover(&error)),
        Err(_) => {
            // redb leaks the pages of a transaction that a panic ended, until the next opening of the file.
            let error = DatabaseError::Failed("a write panicked".into());
            file.outage.failed(error.clone(), false);
            file.reopen();
            Err(error)
        }
    }
}
