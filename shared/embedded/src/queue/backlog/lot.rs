//! One partition's part of the backlog.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(super) struct Lot {
    /// The highest committed number.
    pub(super) tail: u64,
    /// All messages below are read in this session, or gone.
    pub(super) cursor: u64,
    /// All existing messages up to here were handed out before.
    pub(super) handed_out: u64,
    /// The number of the session.
    pub(super) session: u64,
    /// Cancelled at the end of the session.
    pub(super) ended: CancellationToken,
    /// Read in this session and not settled.
    pub(super) outstanding: BTreeSet<u64>,
    /// How often each message was dropped without being settled.
    pub(super) given_back: BTreeMap<u64, u32>,
    /// (number, session) of the messages that a transaction with an unknown outcome settles, including those of ended
    /// sessions.
    pub(super) committing: BTreeSet<(u64, u64)>,
}

impl Lot {
    /// A partition at the opening of the queue. The messages that an earlier process handed out are unknown, so all
    /// messages count as handed out.
    pub(super) fn found(tail: u64) -> Self {
        Self { tail, handed_out: tail, ..Self::default() }
    }

    pub(super) fn room(&self, prefetch: usize) -> usize {
        prefetch.saturating_sub(self.outstanding.len())
    }

    /// Whether the partition has messages to read. While the settlement of a message is undecided, the reading waits: it
    /// could read the message and hand it out a moment before the message is settled.
    pub(super) fn can_be_read(&self) -> bool {
        self.cursor <= self.tail && self.committing.range((self.cursor, 0)..).next().is_none()
    }

    /// All outstanding messages must be read again, in a new session. Returns the token to cancel.
    pub(super) fn end_session(&mut self) -> CancellationToken {
        self.session += 1;
        self.outstanding.clear();
        self.cursor = 0;
        mem::take(&mut self.ended)
    }
}
