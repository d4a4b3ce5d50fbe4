//! The queue's state in memory: the end of each partition, how far the partition is read, and which messages are handed
//! out.
//!
//! Works give out the numbers, one work at a time, so messages appear in the order of their numbers: a reader that has read
//! up to a number has missed no message below it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kefu_messages::partition::Partition;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::tables::{Found, Returned};

mod lot;

use lot::Lot;

/// How many numbers one opening of the file has: 2^40, so 16 million openings are possible.
const NUMBERS_PER_OPENING: u32 = 40;

/// One for each queue; shared by its publishers, consumers and deliveries.
pub(super) struct Backlog {
    state: Mutex<State>,
    next_number: AtomicU64,
    /// Notified whenever the active consumer may have something new to do.
    pub(super) changed: Notify,
    /// The active consumer's right to read.
    pub(super) turn: Arc<Semaphore>,
}

struct State {
    lots: BTreeMap<Partition, Lot>,
    next_due_ms: Option<u64>,
    /// The partition of the next reading, so that no partition starves.
    first_asked: Partition,
}

/// The state of a message that is about to be handed out.
pub(super) struct HandOut {
    /// Cancelled at the end of its session.
    pub(super) session: CancellationToken,
    /// Whether the message was handed out before.
    pub(super) again: bool,
    /// How often the message was dropped unsettled since the queue was opened.
    pub(super) given_back: u32,
}

/// A message that is handed out: its number, and its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) partition: Partition,
    pub(super) number: u64,
    session: u64,
}

/// The messages that a consumer should read next.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) partition: Partition,
    pub(super) from: u64,
    pub(super) limit: usize,
    /// The last committed number at the time of this ask.
    tail: u64,
    session: u64,
}

impl Backlog {
    /// The state of a queue that is opened for the `opened`th time.
    pub(super) fn new(opened: u64, found: Found) -> Self {
        let lots = found.tails.into_iter().map(|(partition, tail)| (partition, Lot::found(tail))).collect();
        let state = State { lots, next_due_ms: found.next_due_ms, first_asked: Partition::from(0) };
        Self {
            state: Mutex::new(state),
            next_number: AtomicU64::new(opened << NUMBERS_PER_OPENING),
            changed: Notify::new(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// A number above all others. Only for works on the database.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn expect_partitions(&self, partitions: impl Iterator<Item = Partition>) {
        let mut state = self.state.lock();
        for partition in partitions {
            state.lot(partition);
        }
    }

    /// The partition has messages up to `number`.
    pub(super) fn appended(&self, partition: Partition, number: u64) {
        let mut state = self.state.lock();
        let lot = state.lot(partition);
        lot.tail = lot.tail.max(number);
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.state.lock().next_due_ms
    }

    /// A message is due at `due_ms`; after a commit with an error, a message may be due then.
    pub(super) fn delayed(&self, due_ms: u64) {
        let mut state = self.state.lock();
        state.next_due_ms = Some(state.next_due_ms.map_or(due_ms, |next| next.min(due_ms)));
        drop(state);
        self.changed.notify_one();
    }

    /// Due messages came back.
    pub(super) fn returned(&self, returned: &Returned) {
        self.state.lock().next_due_ms = returned.next_due_ms;
        for &(partition, number) in &returned.tails {
            self.appended(partition, number);
        }
    }

    /// The messages that can be read now, `limit` in all, if each partition may have `prefetch` outstanding.
    pub(super) fn asks(&self, prefetch: usize, limit: usize) -> Vec<Ask> {
        let mut state = self.state.lock();
        let first = state.first_asked;
        let mut left = limit;
        let mut asks = Vec::new();
        for (&partition, lot) in state.lots.range(first..).chain(state.lots.range(..first)) {
            let room = lot.room(prefetch).min(left);
            if room > 0 && lot.can_be_read() {
                let Lot { cursor, tail, session, .. } = *lot;
                asks.push(Ask { partition, from: cursor, limit: room, tail, session });
                left -= room;
            }
            if left == 0 {
                break;
            }
        }
        if let Some(last) = asks.last() {
            state.first_asked = Partition::from(last.partition.index().wrapping_add(1));
        }
        asks
    }

    /// Records that `numbers` were read for `ask`; they are outstanding from now on. `all`: there were no more, up to the
    /// limit. `None` if the session has ended in the meantime: the caller must forget the messages.
    pub(super) fn admit(
        &self,
        ask: &Ask,
        numbers: impl ExactSizeIterator<Item = u64>,
        all: bool,
    ) -> Option<Vec<Ticket>> {
        let mut state = self.state.lock();
        let lot = state.lot(ask.partition);
        if lot.session != ask.session {
            return None;
        }
        if all && numbers.len() < ask.limit {
            lot.cursor = lot.cursor.max(ask.tail + 1);
        }
        let ticket = |number| {
            lot.cursor = lot.cursor.max(number + 1);
            lot.outstanding.insert(number);
            Ticket { partition: ask.partition, number, session: ask.session }
        };
        Some(numbers.map(ticket).collect())
    }

    /// Lets the next reading begin with `partition`.
    pub(super) fn begin_with(&self, partition: Partition) {
        self.state.lock().first_asked = partition;
    }

    /// Marks a message as handed out. `None` if its session has ended: the message will be read again.
    pub(super) fn hand_out(&self, ticket: Ticket) -> Option<HandOut> {
        let mut state = self.state.lock();
        let lot = state.lot(ticket.partition);
        if lot.session != ticket.session {
            return None;
        }
        let again = ticket.number <= lot.handed_out;
        lot.handed_out = lot.handed_out.max(ticket.number);
        let given_back = lot.given_back.get(&ticket.number).copied().unwrap_or_default();
        Some(HandOut { session: lot.ended.clone(), again, given_back })
    }

    /// Asks, in the transaction, whether the message may still be settled. If so, the end of its session changes nothing
    /// any more, and [`Backlog::settled`] must follow.
    pub(super) fn may_settle(&self, ticket: Ticket) -> bool {
        let mut state = self.state.lock();
        let lot = state.lot(ticket.partition);
        let may = lot.session == ticket.session && lot.outstanding.contains(&ticket.number);
        if may {
            lot.committing.insert((ticket.number, ticket.session));
        }
        may
    }

    /// The transaction that settled the message has ended, whether durable or not.
    pub(super) fn settled(&self, ticket: Ticket, durable: bool) {
        let mut state = self.state.lock();
        let lot = state.lot(ticket.partition);
        lot.committing.remove(&(ticket.number, ticket.session));
        let ended = match lot.session == ticket.session {
            true if durable => {
                lot.outstanding.remove(&ticket.number);
                lot.given_back.remove(&ticket.number);
                None
            }
            true => Some(lot.end_session()),
            false => None,
        };
        drop(state);
        self.tell(ended);
    }

    /// The message was dropped unsettled: the message and all other outstanding messages of its partition are read again.
    /// Only the dropped message is to blame, so only its drops are counted.
    pub(super) fn give_back(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        let lot = state.lot(ticket.partition);
        let owned = lot.session == ticket.session && lot.outstanding.contains(&ticket.number);
        let ended = owned.then(|| {
            *lot.given_back.entry(ticket.number).or_default() += 1;
            lot.end_session()
        });
        drop(state);
        self.tell(ended);
    }

    /// The consumer is closed: the next consumer reads all outstanding messages again.
    pub(super) fn give_all_back(&self) {
        let ended: Vec<_> = self.state.lock().lots.values_mut().map(Lot::end_session).collect();
        self.tell(ended);
    }

    /// Outside the lock: a cancellation wakes other tasks.
    fn tell(&self, ended: impl IntoIterator<Item = CancellationToken>) {
        ended.into_iter().for_each(|session| session.cancel());
        self.changed.notify_one();
    }
}

impl State {
    fn lot(&mut self, partition: Partition) -> &mut Lot {
        self.lots.entry(partition).or_default()
    }
}
