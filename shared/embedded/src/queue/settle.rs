//! The end of a delivery.

use async_trait::async_trait;
use kefu_messages::partition::Partition;

use super::backlog::Ticket;
use super::record::{Death, Record};
use super::{EmbeddedQueue, tables};
use crate::database::Transaction;
use crate::{DatabaseError, millis};
use kefu_queue::{QueueError, Settle, Settlement};

/// Belongs to one delivery. Gives the message back if it is dropped before it is settled.
pub(super) struct Holder {
    queue: EmbeddedQueue,
    ticket: Ticket,
    settled: bool,
}

impl Holder {
    pub(super) fn new(queue: EmbeddedQueue, ticket: Ticket) -> Self {
        Self { queue, ticket, settled: false }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if !self.settled {
            self.queue.backlog.give_back(self.ticket);
        }
    }
}

/// The result of a settlement's transaction.
enum Settled {
    Yes { due_ms: Option<u64> },
    Stale,
}

#[async_trait]
impl Settle for Holder {
    async fn settle(mut self: Box<Self>, settlement: Settlement) -> Result<(), QueueError> {
        let (EmbeddedQueue { database, backlog }, ticket) = (self.queue.clone(), self.ticket);
        let clock = database.clock().clone();
        let comes_back = matches!(settlement, Settlement::Retry { .. } | Settlement::Postpone { .. });
        let work = move |transaction: &Transaction| {
            if !backlog.may_settle(ticket) {
                return Ok(Settled::Stale);
            }
            let Some(row) = tables::take(transaction, ticket.partition, ticket.number)? else {
                return Ok(Settled::Stale);
            };
            let number = || backlog.next_number();
            let due_ms = carry_out(transaction, (ticket.partition, &row), settlement, clock.now_ms(), number);
            Ok(Settled::Yes { due_ms })
        };
        // The holder moves into the submission: if this future is dropped before that, the message is given back.
        let then = move |outcome: Result<&Settled, &DatabaseError>| {
            self.settled = true;
            let backlog = &self.queue.backlog;
            backlog.settled(ticket, matches!(outcome, Ok(Settled::Yes { .. })));
            match outcome {
                Ok(&Settled::Yes { due_ms: Some(due_ms) }) => backlog.delayed(due_ms),
                // The settlement may be durable all the same: then a look at the table finds its time.
                Err(_) if comes_back => backlog.delayed(0),
                _ => {}
            }
        };
        match database.change_then(work, then).durable().await? {
            Settled::Yes { .. } => Ok(()),
            Settled::Stale => Err(QueueError::Stale),
        }
    }
}

/// Puts the message into its new place. Returns its due time, if the message comes back.
fn carry_out(
    transaction: &Transaction,
    (partition, row): (Partition, &[u8]),
    settlement: Settlement,
    now_ms: u64,
    next_number: impl FnOnce() -> u64,
) -> Option<u64> {
    let failed = |error: String| {
        let mut record = Record::from_bytes(row, partition);
        record.fails(error);
        record
    };
    let counts = matches!(settlement, Settlement::Retry { .. });
    match settlement {
        Settlement::Done => None,
        Settlement::Retry { after, error } | Settlement::Postpone { after, error } => {
            let due_ms = now_ms.saturating_add(millis(after));
            let mut record = failed(error);
            record.header.attempt = record.header.attempt.saturating_add(counts.into());
            tables::delay(transaction, due_ms, next_number(), &record);
            Some(due_ms)
        }
        Settlement::Dead { reason, error } => {
            let mut record = failed(error);
            record.header.death = Some(Death { reason: reason.as_str().to_owned(), at_ms: now_ms });
            tables::bury(transaction, next_number(), &record);
            None
        }
    }
}
