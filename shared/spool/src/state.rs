//! The spool's state in memory, and the way of each push.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kefu_embedded::DatabaseError;
use kefu_messages::partition::Partition;
use kefu_runtime::health::Health;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::cursor::Cursor;
use super::file::{Removed, Row, SpoolFile};
use super::folders::{Contents, Opened};

mod held;

pub(crate) use held::SpoolError;
use held::{Held, Inner, Trouble};

/// How long a failure is shown without a later write.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// How many messages of a partition one transaction removes.
const REMOVED_AT_ONCE: u64 = 256;

/// Shared by the publishers and the relay.
pub(super) struct State {
    max_bytes: u64,
    /// How long a file may be unreadable before newer pushes may overtake its messages.
    patience: Duration,
    inner: Mutex<Inner>,
    /// Notified when a waiting push may have another way now.
    changes: watch::Sender<()>,
    /// Notified when there is something to remove from a file.
    pub(super) confirmed: Notify,
}

/// The way of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the broker.
    Broker,
    /// Into the spool.
    Spool,
    /// Nowhere yet: older pushes are in a spool that takes no more.
    Nowhere,
}

/// A place in the file for one message.
pub(super) struct Place {
    pub(super) file: Arc<SpoolFile>,
    pub(super) partition: Partition,
    pub(super) number: u64,
    bytes: u64,
}

/// The messages of a partition to relay.
pub(super) struct Work {
    pub(super) file: Arc<SpoolFile>,
    partition: Partition,
    /// Read after this number.
    pub(super) after: u64,
    /// The last number that may exist.
    pub(super) upto: u64,
}

/// The messages to remove from a file.
pub(super) struct Removal {
    pub(super) file: Arc<SpoolFile>,
    pub(super) upto: Vec<(Partition, u64)>,
}

/// For metrics, `/readyz` and the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) is_open: bool,
    /// The broker accepts nothing.
    pub(super) away: bool,
    /// Why the spool takes nothing, or recently took nothing.
    pub(super) trouble: Option<String>,
    /// Messages that wait for the broker's confirm.
    pub(super) waiting: u64,
    /// The bytes of all messages in the files.
    pub(super) bytes: u64,
    pub(super) oldest_ms: Option<u64>,
}

impl State {
    pub(super) fn new(max_bytes: u64, patience: Duration, partitions: u16) -> Self {
        let (changes, _) = watch::channel(());
        let inner = Mutex::new(Inner { partitions, ..Inner::default() });
        Self { max_bytes, patience, inner, changes, confirmed: Notify::new() }
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The spool is open. Returns the partitions with messages.
    pub(super) fn opened(&self, opened: Opened) -> BTreeSet<Partition> {
        let mut inner = self.inner.lock();
        inner.files = opened.left.into_iter().chain([opened.own]).map(Held::new).collect();
        inner.trouble = None;
        let partitions = inner.files.iter().flat_map(|held| held.cursors.keys().copied()).collect();
        drop(inner);
        self.changes.send_replace(());
        partitions
    }

    /// The messages that another process has left must be relayed, too. Returns the partitions with messages.
    pub(super) fn took_over(&self, left: Vec<Contents>) -> BTreeSet<Partition> {
        let held: Vec<Held> = left.into_iter().map(Held::new).collect();
        let partitions = held.iter().flat_map(|held| held.cursors.keys().copied()).collect();
        self.inner.lock().files.splice(0..0, held);
        partitions
    }

    /// Releases the files, so that they can be closed.
    pub(super) fn close(&self) -> Vec<Arc<SpoolFile>> {
        self.inner.lock().files.drain(..).map(|held| held.file).collect()
    }

    /// The way of a push of the partition; `overdue` if the broker did not take the push in time.
    pub(super) fn way(&self, partition: Partition, overdue: bool) -> Way {
        let mut inner = self.inner.lock();
        let is_clear = inner.is_clear(partition);
        let spooled = !is_clear || overdue || inner.away.is_some();
        let way = match (spooled && inner.takes_messages(), is_clear) {
            (true, _) => Way::Spool,
            (false, true) => Way::Broker,
            (false, false) => Way::Nowhere,
        };
        let noticed = way == Way::Spool && overdue && inner.away.is_none();
        if noticed {
            inner.away = Some(Instant::now());
        }
        drop(inner);
        if noticed {
            self.changes.send_replace(());
        }
        way
    }

    /// A place for a message with this `body`; `Err` says why there is none. Give the place back with [`State::written`].
    /// Each partition may have only one place out at a time.
    pub(super) fn place(&self, partition: Partition, body: &[u8]) -> Result<Place, SpoolError> {
        let mut inner = self.inner.lock();
        let bytes = Row::bytes(body);
        let Some(own) = inner.files.last_mut() else { return Err(SpoolError::NotOpen) };
        if own.bytes.saturating_add(bytes) > self.max_bytes {
            let full = SpoolError::Full { bytes: own.bytes, max_bytes: self.max_bytes };
            inner.fail(full.clone());
            return Err(full);
        }
        own.bytes += bytes;
        let number = own.cursors.entry(partition).or_default().next();
        Ok(Place { file: own.file.clone(), partition, number, bytes })
    }

    /// The write has ended.
    pub(super) fn written(&self, place: &Place, spooled_at_ms: u64, outcome: Result<(), DatabaseError>) {
        let mut inner = self.inner.lock();
        if let Some(own) = inner.files.last_mut() {
            let cursor = own.cursors.entry(place.partition).or_default();
            cursor.written(place.number, spooled_at_ms, outcome.is_ok());
            if outcome.is_err() {
                own.bytes = own.bytes.saturating_sub(place.bytes);
            }
        }
        match outcome {
            Ok(()) => inner.trouble = None,
            Err(error) => inner.fail(error.into()),
        }
    }

    /// The spool cannot be used.
    pub(super) fn failed(&self, error: SpoolError) {
        self.inner.lock().fail(error);
    }

    /// A deleted or replaced file disappears when the process exits, so nothing may be written to it.
    pub(super) fn look_at_the_file(&self) {
        let own = self.inner.lock().files.last().map(|own| own.file.clone());
        if let Some(Health::Down(why)) = own.map(|own| own.health()) {
            self.failed(SpoolError::Down(why));
        }
    }

    /// Sets whether the broker accepts messages.
    pub(super) fn set_away(&self, away: bool) {
        let mut inner = self.inner.lock();
        let changed = inner.away.is_some() != away;
        if changed {
            inner.away = away.then(Instant::now);
        }
        drop(inner);
        if changed {
            self.changes.send_replace(());
        }
    }

    /// The broker's connection is up. If there is nothing left to relay, no confirm would say so.
    pub(super) fn set_back_if_empty(&self, away_for: Duration) {
        let inner = self.inner.lock();
        let stale = inner.away.is_some_and(|since| since.elapsed() >= away_for);
        let empty = inner.cursors().all(|cursor| cursor.unrelayed().is_none());
        drop(inner);
        if stale && empty {
            self.set_away(false);
        }
    }

    /// The next messages of a partition to relay: first those that ended processes left, then the process's own.
    pub(super) fn work(&self, partition: Partition) -> Option<Work> {
        let inner = self.inner.lock();
        inner.files.iter().find_map(|held| {
            let (after, upto) = held.cursors.get(&partition)?.unrelayed()?;
            Some(Work { file: held.file.clone(), partition, after, upto })
        })
    }

    /// The broker has confirmed all messages of the partition up to `number`, or they do not exist.
    pub(super) fn relayed(&self, work: &Work, number: u64, next_ms: Option<u64>) {
        let mut inner = self.inner.lock();
        if let Some(cursor) = inner.held(&work.file).and_then(|held| held.cursors.get_mut(&work.partition)) {
            cursor.confirmed(number, next_ms);
        }
        let is_clear = inner.is_clear(work.partition);
        drop(inner);
        self.confirmed.notify_one();
        if is_clear {
            self.changes.send_replace(());
        }
    }

    /// A file could, or could not, be read.
    pub(super) fn read(&self, outcome: Result<(), SpoolError>) {
        let mut inner = self.inner.lock();
        match outcome {
            Ok(()) => (inner.unread, inner.order_is_given_up) = (None, false),
            Err(error) => {
                let unread_for = inner.unread.get_or_insert_with(Instant::now).elapsed();
                inner.order_is_given_up = unread_for >= self.patience;
                inner.fail(error);
            }
        }
        drop(inner);
        self.changes.send_replace(());
    }

    pub(super) fn removals(&self) -> Vec<Removal> {
        let removal = |held: &Held| {
            let upto =
                |(&partition, cursor): (&Partition, &Cursor)| Some((partition, cursor.removable(REMOVED_AT_ONCE)?));
            let upto: Vec<_> = held.cursors.iter().filter_map(upto).collect();
            (!upto.is_empty()).then(|| Removal { file: held.file.clone(), upto })
        };
        self.inner.lock().files.iter().filter_map(removal).collect()
    }

    pub(super) fn removed(&self, removal: &Removal, removed: Removed) {
        let mut inner = self.inner.lock();
        let Some(held) = inner.held(&removal.file) else { return };
        held.bytes = held.bytes.saturating_sub(removed.bytes);
        let is_small = held.bytes < self.max_bytes;
        for (partition, upto) in &removal.upto {
            held.cursors.entry(*partition).or_default().removed(*upto);
        }
        if is_small {
            inner.trouble = None;
        }
        // A file that an ended process left is closed when it is empty, to release the folder.
        let left = inner.files.len().saturating_sub(1);
        let mut files = 0..;
        inner.files.retain(|held| files.next() == Some(left) || !held.is_empty());
    }

    pub(super) fn figures(&self) -> Figures {
        let inner = self.inner.lock();
        let shown = |trouble: &&Trouble| inner.files.is_empty() || trouble.at.elapsed() < SHOWN_FOR;
        Figures {
            is_open: !inner.files.is_empty(),
            away: inner.away.is_some(),
            trouble: inner.trouble.as_ref().filter(shown).map(|trouble| trouble.error.to_string()),
            waiting: inner.cursors().map(Cursor::waiting).sum(),
            bytes: inner.files.iter().map(|held| held.bytes).sum(),
            oldest_ms: inner.cursors().filter_map(Cursor::oldest_ms).min(),
        }
    }
}
