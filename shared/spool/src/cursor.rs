//! How far a partition of a spool file is filled and relayed.

/// The numbers of one partition's messages in one file, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last number that is certainly stored. Its push may have been answered `success`.
    stored: u64,
    /// The last number that may be stored: a write that reported an error may have been done all the same.
    tried: u64,
    /// The broker has confirmed all messages up to here, or they do not exist.
    confirmed: u64,
    /// All messages up to here are removed from the file.
    removed: u64,
    /// When the first unconfirmed message was spooled, if known.
    oldest_ms: Option<u64>,
}

impl Cursor {
    /// The cursor of a partition at the opening of a file.
    pub(super) fn found(first: u64, last: u64, oldest_ms: u64) -> Self {
        let before = first.saturating_sub(1);
        Self { stored: last, tried: last, confirmed: before, removed: before, oldest_ms: Some(oldest_ms) }
    }

    /// Whether a push may go to the broker without overtaking a message that is stored here.
    pub(super) fn is_clear(&self) -> bool {
        self.confirmed >= self.stored
    }

    pub(super) fn waiting(&self) -> u64 {
        self.stored.saturating_sub(self.confirmed)
    }

    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.oldest_ms.filter(|_| !self.is_clear())
    }

    /// The number for the next message.
    pub(super) fn next(&self) -> u64 {
        self.tried + 1
    }

    /// The write of `number` has ended.
    pub(super) fn written(&mut self, number: u64, spooled_at_ms: u64, stored: bool) {
        self.tried = self.tried.max(number);
        if stored {
            if self.is_clear() {
                self.oldest_ms = Some(spooled_at_ms);
            }
            self.stored = self.stored.max(number);
        }
    }

    /// The messages to relay: the number to read after, and the last number that may exist.
    pub(super) fn unrelayed(&self) -> Option<(u64, u64)> {
        (self.confirmed < self.tried).then_some((self.confirmed, self.tried))
    }

    /// The broker has confirmed all messages up to `number`; the next message, if known, was spooled at `next_ms`.
    pub(super) fn confirmed(&mut self, number: u64, next_ms: Option<u64>) {
        self.confirmed = self.confirmed.max(number);
        self.oldest_ms = next_ms.or(self.oldest_ms);
    }

    /// The messages to remove from the file: all up to this number, some `limit` messages at a time.
    pub(super) fn removable(&self, limit: u64) -> Option<u64> {
        (self.removed < self.confirmed).then(|| self.confirmed.min(self.removed.saturating_add(limit)))
    }

    pub(super) fn removed(&mut self, upto: u64) {
        self.removed = self.removed.max(upto);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_clear_again_when_all_that_is_stored_is_confirmed() {
        let mut cursor = Cursor::default();
        assert!(cursor.is_clear() && cursor.unrelayed().is_none());
        cursor.written(1, 10, true);
        cursor.written(2, 20, true);
        assert_eq!((cursor.is_clear(), cursor.waiting(), cursor.oldest_ms()), (false, 2, Some(10)));
        cursor.confirmed(1, Some(20));
        assert_eq!((cursor.is_clear(), cursor.unrelayed(), cursor.oldest_ms()), (false, Some((1, 2)), Some(20)));
        cursor.confirmed(2, None);
        assert_eq!((cursor.is_clear(), cursor.oldest_ms(), cursor.removable(100)), (true, None, Some(2)));
        cursor.removed(2);
        assert_eq!((cursor.removable(100), cursor.next()), (None, 3));
    }

    #[test]
    fn a_write_that_failed_is_looked_for_and_holds_nobody_up() {
        let mut cursor = Cursor::default();
        cursor.written(1, 10, false);
        assert!(cursor.is_clear());
        assert_eq!((cursor.unrelayed(), cursor.next()), (Some((0, 1)), 2));
        cursor.confirmed(1, None);
        assert_eq!(cursor.unrelayed(), None);
    }

    #[test]
    fn what_is_found_at_the_start_is_relayed_before_anything_newer() {
        let mut cursor = Cursor::found(7, 9, 10);
        assert_eq!(
            (cursor.is_clear(), cursor.waiting(), cursor.unrelayed(), cursor.next()),
            (false, 3, Some((6, 9)), 10)
        );
        assert_eq!(cursor.removable(100), None);
        cursor.confirmed(9, None);
        assert_eq!(cursor.removable(2), Some(8));
    }
}
