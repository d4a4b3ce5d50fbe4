//! The files that this process holds, and their failures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kefu_embedded::DatabaseError;
use kefu_messages::partition::Partition;

use crate::cursor::Cursor;
use crate::file::SpoolFile;
use crate::folders::Contents;

/// After a failed write, the next write is tried this much later: until then only the broker is asked.
const REST: Duration = Duration::from_millis(500);

/// The state behind the lock of [`State`](super::State).
#[derive(Default)]
pub(super) struct Inner {
    /// First the files of ended processes, last the process's own file; empty while the spool is not open.
    pub(super) files: Vec<Held>,
    /// Since when the broker has accepted nothing.
    pub(super) away: Option<Instant>,
    pub(super) trouble: Option<Trouble>,
    /// Since when a file has been unreadable.
    pub(super) unread: Option<Instant>,
    /// The number of partitions that new pushes go to.
    pub(super) partitions: u16,
    /// A file has been unreadable for too long: it must not keep newer pushes from a broker that is up.
    pub(super) order_is_given_up: bool,
}

/// An open file.
pub(super) struct Held {
    pub(super) file: Arc<SpoolFile>,
    pub(super) cursors: BTreeMap<Partition, Cursor>,
    pub(super) bytes: u64,
}

/// Why the spool takes no messages, or does not hand its messages out. The spool tries again in each case.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SpoolError {
    /// No file is open yet.
    #[error("it is not open")]
    NotOpen,
    /// The messages reach the configured limit.
    #[error("it is full: it holds {bytes} of spool_max_bytes = {max_bytes}")]
    Full {
        /// The bytes of the messages.
        bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// The file is not in its place, or cannot be written at present; the text says why, for the operator.
    #[error("{0}")]
    Down(String),
    /// The messages in a file cannot be read.
    #[error("{} cannot be read: {error}", folder.display())]
    Unreadable {
        /// The folder of the file.
        folder: PathBuf,
        /// The database's error.
        #[source]
        error: DatabaseError,
    },
    /// A file did not do a call.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The last failure.
pub(super) struct Trouble {
    pub(super) error: SpoolError,
    pub(super) at: Instant,
}

impl Held {
    pub(super) fn new((file, found): Contents) -> Self {
        Self {
            file: Arc::new(file),
            bytes: found.iter().map(|found| found.bytes).sum(),
            cursors: found.iter().map(|f| (f.partition, Cursor::found(f.first, f.last, f.oldest_ms))).collect(),
        }
    }

    /// Whether no message waits in the partition, nor in a partition beyond the configured ones, whose users may be on any
    /// partition now.
    fn is_clear(&self, partition: Partition, configured: u16) -> bool {
        let beyond = self.cursors.range(Partition::from(configured)..).map(|(_, cursor)| cursor);
        self.cursors.get(&partition).into_iter().chain(beyond).all(Cursor::is_clear)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cursors.values().all(|cursor| cursor.unrelayed().is_none() && cursor.removable(1).is_none())
    }
}

impl Inner {
    pub(super) fn held(&mut self, file: &Arc<SpoolFile>) -> Option<&mut Held> {
        self.files.iter_mut().find(|held| Arc::ptr_eq(&held.file, file))
    }

    pub(super) fn cursors(&self) -> impl Iterator<Item = &Cursor> {
        self.files.iter().flat_map(|held| held.cursors.values())
    }

    /// Whether the partition has no waiting message that a push must not overtake.
    pub(super) fn is_clear(&self, partition: Partition) -> bool {
        self.order_is_given_up || self.files.iter().all(|held| held.is_clear(partition, self.partitions))
    }

    pub(super) fn takes_messages(&self) -> bool {
        let rests = self.trouble.as_ref().is_some_and(|trouble| trouble.at.elapsed() < REST);
        !self.files.is_empty() && !rests && !self.order_is_given_up
    }

    pub(super) fn fail(&mut self, error: SpoolError) {
        self.trouble = Some(Trouble { error, at: Instant::now() });
    }
}
