//! Takes messages out of the file.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_runtime::health::Health;
use tokio::sync::OwnedSemaphorePermit;

use super::EmbeddedQueue;
use super::backlog::{Ask, HandOut, Ticket};
use super::record::{Header, Record};
use super::settle::Holder;
use super::tables::{self, Rows};
use crate::DatabaseError;
use kefu_queue::{Consumer, ConsumerOptions, DeadReason, Delivery, Settlement};

/// How many messages are read at once, over all partitions: enough to make the price of a read small.
const MAX_READ: usize = 128;

/// How many bytes are read at once; the last message may exceed them. A body is as large as ingress's `max_body_bytes`
/// allows, and larger because it is in JSON. Reading so many bytes of JSON takes a few milliseconds of the caller's thread.
pub(super) const MAX_READ_BYTES: usize = if cfg!(test) { 64 * 1024 } else { 1024 * 1024 };

/// How often a message may be dropped unsettled. Only the dropped message is counted, not the messages that go back with
/// it, and not those that a crash of the whole process gives back, because nobody records these.
pub(super) const GIVE_BACK_LIMIT: u32 = 20;

/// How long to wait after a failed read or write. In that time the database repairs itself, or keeps failing.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

pub(super) struct EmbeddedConsumer {
    queue: EmbeddedQueue,
    prefetch: usize,
    /// Messages that are read but not yet handed out, in order.
    buffer: VecDeque<Read>,
    /// Held from the first `next` to the end.
    turn: Option<OwnedSemaphorePermit>,
    closed: bool,
}

struct Read {
    ticket: Ticket,
    message: Message,
}

/// A row in the form in which it is handed out.
struct Message {
    number: u64,
    envelope: Result<Envelope, EnvelopeError>,
    attempt: u32,
    replays: u32,
}

/// The messages that were read for an ask.
struct Found {
    ask: Ask,
    messages: Vec<Message>,
    /// Whether the queue has no more messages for the ask.
    all: bool,
}

impl EmbeddedConsumer {
    pub(super) fn new(queue: EmbeddedQueue, options: ConsumerOptions) -> Self {
        let prefetch = usize::from(options.prefetch).max(1);
        Self { queue, prefetch, buffer: VecDeque::new(), turn: None, closed: false }
    }

    /// The next message that was read, and how often it was given back.
    fn hand_out(&mut self) -> Option<(Delivery, u32)> {
        loop {
            let Read { ticket, message } = self.buffer.pop_front()?;
            // `None`: the session ended after the read. The message is read again.
            if let Some(HandOut { session, again, given_back }) = self.queue.backlog.hand_out(ticket) {
                let holder = Box::new(Holder::new(self.queue.clone(), ticket));
                let Message { envelope, attempt, replays, .. } = message;
                let delivery = Delivery::new(envelope, ticket.partition, attempt, replays, again, session, holder);
                return Some((delivery, given_back));
            }
        }
    }

    /// Makes a message that is given back again and again a dead letter.
    async fn bury(&self, delivery: Delivery, given_back: u32) {
        let error = format!("the message was given back {given_back} times without being settled");
        let reason = DeadReason::DeliveryLimit;
        tracing::error!(reason = reason.as_str(), error, "the message is a dead letter");
        if delivery.settle(Settlement::Dead { reason, error }).await.is_err() {
            // The database reports the error. The message is read again.
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }

    /// Reads as many messages as there is room for. `false` if there are none.
    fn fill(&mut self) -> Result<bool, DatabaseError> {
        let backlog = self.queue.backlog.clone();
        if let Some(due_ms) = backlog.next_due_ms().filter(|due_ms| *due_ms <= self.queue.database.clock().now_ms()) {
            self.return_due(due_ms)?;
        }
        let asks = backlog.asks(self.prefetch, MAX_READ);
        if asks.is_empty() {
            return Ok(false);
        }
        let found = self.read(asks)?;
        // Otherwise the partitions behind a partition with large messages would starve.
        if let Some(left_out) = found.iter().find(|found| found.messages.is_empty() && !found.all) {
            backlog.begin_with(left_out.ask.partition);
        }
        for Found { ask, messages, all } in found {
            let numbers = messages.iter().map(|message| message.number);
            let Some(tickets) = backlog.admit(&ask, numbers, all) else { continue };
            self.buffer.extend(tickets.into_iter().zip(messages).map(|(ticket, message)| Read { ticket, message }));
        }
        Ok(true)
    }

    fn read(&self, asks: Vec<Ask>) -> Result<Vec<Found>, DatabaseError> {
        let rows = self.queue.database.change_soon(|transaction| {
            let mut bytes = MAX_READ_BYTES;
            let read = |ask: Ask| {
                let rows = tables::read(transaction, ask.partition, ask.from, ask.limit, &mut bytes)?;
                Ok((ask, rows))
            };
            asks.into_iter().map(read).collect::<Result<Vec<_>, redb::Error>>()
        })?;
        let found = |(ask, Rows { rows, all }): (Ask, Rows)| {
            let decode = |(number, row): (u64, Arc<[u8]>)| {
                let Record { header: Header { attempt, replays, .. }, body } = Record::from_bytes(&row, ask.partition);
                Message { number, envelope: Envelope::from_json(&body), attempt, replays }
            };
            Found { messages: rows.into_iter().map(decode).collect(), ask, all }
        };
        Ok(rows.into_iter().map(found).collect())
    }

    fn return_due(&self, from_ms: u64) -> Result<(), DatabaseError> {
        let backlog = &self.queue.backlog;
        let now_ms = self.queue.database.clock().now_ms();
        let after_failure = backlog.clone();
        self.queue.database.change_soon_then(
            |transaction| {
                let returned = tables::return_due(transaction, (from_ms, now_ms), || backlog.next_number())?;
                backlog.returned(&returned);
                Ok(())
            },
            move |outcome| {
                if outcome.is_err() {
                    after_failure.delayed(0);
                }
            },
        )
    }

    /// Waits until a message is published, settled, given back, or due.
    async fn wait(&self) {
        let backlog = &self.queue.backlog;
        match backlog.next_due_ms() {
            None => backlog.changed.notified().await,
            Some(due_ms) => {
                let left = Duration::from_millis(due_ms.saturating_sub(self.queue.database.clock().now_ms()));
                tokio::time::timeout(left, backlog.changed.notified()).await.ok();
            }
        }
    }

    fn end(&mut self) {
        self.closed = true;
        self.buffer.clear();
        if self.turn.is_some() {
            self.queue.backlog.give_all_back();
        }
        // After that, so that the next consumer finds all messages given back.
        self.turn = None;
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        while !self.closed {
            if self.turn.is_none() {
                self.turn = self.queue.backlog.turn.clone().acquire_owned().await.ok();
            }
            match self.hand_out() {
                Some((delivery, given_back)) if given_back <= GIVE_BACK_LIMIT => return Some(delivery),
                Some((delivery, given_back)) => {
                    self.bury(delivery, given_back).await;
                    continue;
                }
                None => {}
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => self.wait().await,
                // The database reports the error.
                Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
            }
        }
        None
    }

    fn health(&self) -> Health {
        self.queue.database.health()
    }

    async fn close(&mut self) {
        self.end();
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        self.end();
    }
}
