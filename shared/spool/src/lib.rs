//! The spool: ingress's own disk queue, used only while the broker accepts nothing.
//!
//! [`open`] wraps the broker's publisher. Each push goes directly to the broker. If the broker does not confirm a push
//! within [`PATIENCE`], the push is written to the spool, and then counts as stored. All later pushes also go to the spool
//! until the broker is back. The relay then publishes the messages of the spool, partition by partition, in order. A
//! message is removed only after its confirm. So a message whose fate is unknown is published twice rather than never, and
//! the worker's ledger drops the copy.
//!
//! **Order.** The pushes of a user go one after the other, in the order of their turns. While the spool has a message of a
//! partition, newer pushes of the partition go behind that message. Once the spool has none, the next push goes directly
//! to the broker.
//!
//! **Files.** Several processes on a machine may share the folder: each process takes the first numbered folder below it
//! that no other process holds. The next process that starts relays the messages that ended processes have left in other
//! folders.
//!
//! **Failures.** A spool that cannot be opened, written or read is logged, shown, and tried again; in the meantime pushes
//! go to the broker alone. No file is ever deleted or replaced.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kefu_queue::Publisher;

mod cursor;
mod file;
mod folders;
mod metric;
mod phase;
mod publisher;
mod relay;
mod state;
#[cfg(test)]
mod tests;
mod watch;

pub use publisher::Spool;

/// How long the broker may take for a push before the spool takes the push.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How many partitions the spool has, whatever the number of the broker. The spool writes one push of each partition at
/// once, and relays one message of each at once: the disk and the broker do many in about the time of one.
pub const PARTITIONS: u16 = 64;

/// The spool's place and its limit.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder for the files; created if it does not exist.
    pub folder: PathBuf,
    /// How many bytes of messages this process may keep in the spool. A file can be up to three times as large.
    pub max_bytes: u64,
    /// [`PARTITIONS`], except in tests.
    pub partitions: u16,
    /// [`PATIENCE`], except in tests.
    pub patience: Duration,
}

/// A publisher that goes to `broker`, and to the spool while the broker accepts nothing.
///
/// Returns when the content of the spool is known, or when the spool cannot be opened. The latter is no error, and is tried
/// again in the background of the current tokio runtime.
pub async fn open(broker: Arc<dyn Publisher>, settings: Settings) -> Arc<Spool> {
    metric::describe();
    let spool = Arc::new(Spool::new(broker, &settings));
    watch::start(&spool, settings).await;
    spool
}
