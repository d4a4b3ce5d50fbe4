//! Takes messages out of the file.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;

use super::backlog::{Ask, Ticket};
use super::settle::Holder;
use super::tables;
use crate::embedded::{Database, DatabaseError};
use crate::envelope::{Envelope, EnvelopeError};
use crate::queue::{Consumer, ConsumerOptions, Delivery, Health};

/// How many messages are read at once, over all partitions: enough to make the price of a read small, few enough for
/// memory (a body is 64 KiB at most by ingress's limit).
const MAX_READ: usize = 128;

/// How long to wait after a read or write that failed. The database mends itself meanwhile, or goes on failing.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

pub(super) struct EmbeddedConsumer {
    database: Database,
    prefetch: usize,
    /// Read and not yet handed out, in order.
    buffer: VecDeque<Read>,
    /// Held from the first `next` on, until the end.
    turn: Option<OwnedSemaphorePermit>,
    closed: bool,
}

struct Read {
    ticket: Ticket,
    envelope: Result<Envelope, EnvelopeError>,
    attempt: u32,
}

/// A message as it comes from the file, with its number.
type Decoded = (u64, Result<Envelope, EnvelopeError>, u32);

impl EmbeddedConsumer {
    pub(super) fn new(database: Database, options: ConsumerOptions) -> Self {
        let prefetch = usize::from(options.prefetch).max(1);
        Self { database, prefetch, buffer: VecDeque::new(), turn: None, closed: false }
    }

    fn hand_out(&mut self) -> Option<Delivery> {
        loop {
            let Read { ticket, envelope, attempt } = self.buffer.pop_front()?;
            // `None`: the session ended after the reading. The message is read again.
            if let Some((session, seen)) = self.database.backlog().hand_out(ticket) {
                let holder = Box::new(Holder::new(self.database.clone(), ticket));
                let redelivered = seen || attempt > 0;
                return Some(Delivery::new(envelope, ticket.partition, attempt, redelivered, session, holder));
            }
        }
    }

    /// Reads what there is room for. `false` when nothing is there to do.
    async fn fill(&mut self) -> Result<bool, DatabaseError> {
        let backlog = self.database.backlog().clone();
        if backlog.next_due_ms().is_some_and(|due_ms| due_ms <= self.database.clock().now_ms()) {
            self.return_due().await?;
        }
        let asks = backlog.asks(self.prefetch, MAX_READ);
        if asks.is_empty() {
            return Ok(false);
        }
        // Nothing is taken down before the rows are here, so a `next` that is dropped while they are read loses none.
        for (ask, rows) in self.read(asks).await? {
            let Some(tickets) = backlog.admit(&ask, rows.iter().map(|&(number, _, _)| number)) else { continue };
            let read = tickets.into_iter().zip(rows).map(|(ticket, (_, envelope, attempt))| Read {
                ticket,
                envelope,
                attempt,
            });
            self.buffer.extend(read);
        }
        Ok(true)
    }

    async fn read(&self, asks: Vec<Ask>) -> Result<Vec<(Ask, Vec<Decoded>)>, DatabaseError> {
        let work = move |transaction: &redb::ReadTransaction| {
            let read = |ask: Ask| {
                let rows = tables::read(transaction, ask.partition, ask.from, ask.limit)?.into_iter();
                let decode = |(number, record): (u64, super::record::Record)| {
                    (number, Envelope::from_json(&record.body), record.header.attempt)
                };
                Ok((ask, rows.map(decode).collect()))
            };
            asks.into_iter().map(read).collect()
        };
        self.database.read(work).await
    }

    async fn return_due(&self) -> Result<(), DatabaseError> {
        let backlog = self.database.backlog().clone();
        let numbers = backlog.clone();
        let now_ms = self.database.clock().now_ms();
        let returned = self.database.write_then(
            move |transaction| tables::return_due(transaction, now_ms, || numbers.next_number()),
            move |outcome| match outcome {
                Ok(returned) => backlog.returned(returned),
                Err(_) => backlog.perhaps_appended(),
            },
        );
        returned.await.map(drop)
    }

    /// Until something is published, settled, given back, or due.
    async fn wait(&self) {
        let backlog = self.database.backlog();
        match backlog.next_due_ms() {
            None => backlog.changed.notified().await,
            Some(due_ms) => {
                let left = Duration::from_millis(due_ms.saturating_sub(self.database.clock().now_ms()));
                tokio::time::timeout(left, backlog.changed.notified()).await.ok();
            }
        }
    }

    fn end(&mut self) {
        self.closed = true;
        self.buffer.clear();
        if self.turn.is_some() {
            self.database.backlog().give_all_back();
        }
        // After that, so that the next consumer finds it all given back.
        self.turn = None;
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        while !self.closed {
            if self.turn.is_none() {
                self.turn = self.database.backlog().turn.clone().acquire_owned().await.ok();
            }
            if let Some(delivery) = self.hand_out() {
                return Some(delivery);
            }
            match self.fill().await {
                Ok(true) => {}
                Ok(false) => self.wait().await,
                // Reported by the database.
                Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
            }
        }
        None
    }

    fn health(&self) -> Health {
        self.database.health()
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
