//! One partition's part of the backlog.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(super) struct Lot {
    /// The highest number that is committed.
    pub(super) tail: u64,
    /// All below are read in this session, or gone.
    pub(super) cursor: u64,
    /// All up to here that still exist were handed out before.
    pub(super) handed_out: u64,
    /// Counts the sessions.
    pub(super) session: u64,
    /// Cancelled at the end of the session.
    pub(super) ended: CancellationToken,
    /// Read in this session and not settled.
    pub(super) outstanding: BTreeSet<u64>,
    /// How often those were dropped unsettled that were.
    pub(super) given_back: BTreeMap<u64, u32>,
    /// (number, session) of those that a transaction settles whose end is not known, of ended sessions too.
    pub(super) committing: BTreeSet<(u64, u64)>,
}

impl Lot {
    /// A partition as it is found when the queue is opened. What an earlier process handed out is not known, so all of
    /// it counts as handed out.
    pub(super) fn found(tail: u64) -> Self {
        Self { tail, handed_out: tail, ..Self::default() }
    }

    pub(super) fn room(&self, prefetch: usize) -> usize {
        prefetch.saturating_sub(self.outstanding.len())
    }

    /// Whether there is something to read. A message whose settlement is not decided is waited for: it could be read,
    /// and handed out, a moment before it is settled.
    pub(super) fn can_be_read(&self) -> bool {
        self.cursor <= self.tail && self.committing.range((self.cursor, 0)..).next().is_none()
    }

    /// Everything outstanding is to be read again, in a new session. Returns what to cancel.
    pub(super) fn end_session(&mut self) -> CancellationToken {
        self.session += 1;
        self.outstanding.clear();
        self.cursor = 0;
        mem::take(&mut self.ended)
    }
}
