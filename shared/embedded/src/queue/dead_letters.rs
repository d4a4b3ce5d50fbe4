//! The table of dead letters.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::record::Record;
use super::{EmbeddedQueue, tables};
use kefu_queue::QueueError;
use kefu_queue::dead_letters::{DeadLetter, DeadLetters, History, UNKNOWN_REASON, Walk};

/// How many bytes are read at once; the last dead letter may exceed them.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// How many dead letters are read at once at most.
const MAX_READ: usize = 128;

pub(super) struct InTheFile {
    queue: EmbeddedQueue,
    one_at_a_time: Arc<Mutex<()>>,
}

impl InTheFile {
    pub(super) fn new(queue: EmbeddedQueue) -> Self {
        Self { queue, one_at_a_time: Arc::default() }
    }
}

#[async_trait]
impl DeadLetters for InTheFile {
    async fn walk(&self) -> Result<Box<dyn Walk>, QueueError> {
        let turn = self.one_at_a_time.clone().lock_owned().await;
        let last = self.queue.database.change_soon(tables::last_dead)?;
        let (queue, read) = (self.queue.clone(), Vec::new().into_iter());
        Ok(Box::new(OnTheWay { queue, _turn: turn, from: 0, last, read, current: None }))
    }
}

struct OnTheWay {
    queue: EmbeddedQueue,
    _turn: OwnedMutexGuard<()>,
    /// All numbers below are read.
    from: u64,
    /// The number of the last dead letter when the walk began.
    last: Option<u64>,
    read: std::vec::IntoIter<(u64, Record)>,
    /// The number of the dead letter that [`Walk::next`] returned last.
    current: Option<u64>,
}

#[async_trait]
impl Walk for OnTheWay {
    async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        self.current = None;
        if self.read.as_slice().is_empty()
            && let Some(last) = self.last.filter(|last| self.from <= *last)
        {
            let from = self.from;
            let read = |transaction: &_| tables::dead(transaction, from..=last, MAX_READ, MAX_READ_BYTES);
            let rows = self.queue.database.change_soon(read)?;
            self.from = rows.last().map_or(last, |(number, _)| *number).saturating_add(1);
            self.read = rows.into_iter();
        }
        let Some((number, record)) = self.read.next() else { return Ok(None) };
        self.current = Some(number);
        Ok(Some(letter(record)))
    }

    async fn replay(&mut self) -> Result<(), QueueError> {
        let number = self.current.take().ok_or(QueueError::Stale)?;
        let EmbeddedQueue { database, backlog } = self.queue.clone();
        let moved = database.change(|transaction| {
            let Some(record) = tables::exhume(transaction, number)? else { return Ok(false) };
            let (record, number) = (record.replayed(), backlog.next_number());
            tables::append(transaction, number, &record);
            backlog.appended(record.header.partition, number);
            Ok(true)
        });
        if moved.await? { Ok(()) } else { Err(QueueError::Stale) }
    }

    async fn discard(&mut self) -> Result<(), QueueError> {
        let number = self.current.take().ok_or(QueueError::Stale)?;
        let taken = self.queue.database.change(|transaction| tables::exhume(transaction, number)).await?;
        taken.map(drop).ok_or(QueueError::Stale)
    }

    async fn close(self: Box<Self>) -> Result<(), QueueError> {
        Ok(())
    }
}

fn letter(Record { header, body }: Record) -> DeadLetter {
    let mut letter = DeadLetter::of(body);
    letter.partition = Some(header.partition);
    let last_error = header.error.unwrap_or_default();
    let (reason, died_at_ms) = match header.death {
        Some(death) => (death.reason, Some(death.at_ms)),
        None => (UNKNOWN_REASON.to_owned(), None),
    };
    letter.history = History {
        reason,
        first_error: header.first_error.unwrap_or_else(|| last_error.clone()),
        last_error,
        attempts: header.attempt.saturating_add(1),
        replays: header.replays,
        first_seen_ms: Some(header.first_seen_ms),
        died_at_ms,
        traceparent: letter.history.traceparent,
    };
    letter
}
