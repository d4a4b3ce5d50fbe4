//! The spool: ingress's own disk queue, used only while the broker takes nothing.
//!
//! [`open`] wraps the broker's publisher. Each push goes straight to the broker, unless that does not confirm it within
//! [`PATIENCE`]; then it is written to the spool, which counts as stored, and so are all pushes after it until the
//! broker is back. The relay then publishes what lies in the spool, partition by partition, in order. A message is taken
//! away after its confirm only, so one whose fate is not known is published twice rather than never: the worker's ledger
//! drops the copy.
//!
//! **Order.** The pushes of a partition go one after the other, in the order in which they came. While anything of a
//! partition waits in the spool, what is newer goes behind it; when nothing does, the next one goes straight.
//!
//! **Files.** The folder may be shared by several processes on a machine: each takes the first of the numbered folders
//! below it that no other holds. What ended processes have left in others is relayed by whoever starts next.
//!
//! **Failures.** A spool that cannot be opened, written or read is logged, shown, and tried again; meanwhile pushes go to
//! the broker alone. No file is ever deleted or replaced.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kefu_queue::Publisher;

mod cursor;
mod file;
mod metric;
mod publisher;
mod relay;
mod slots;
mod state;
#[cfg(test)]
mod tests;
mod watch;

pub use publisher::Spool;

/// How long the broker may take for a push before the spool takes it.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Where the spool is, and how large it may become.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder for the files; created if it is not there.
    pub folder: PathBuf,
    /// How many bytes of messages this process may keep in it. A file can be up to three times as large.
    pub max_bytes: u64,
    /// How many partitions the broker has.
    pub partitions: u16,
    /// [`PATIENCE`], other than in tests.
    pub patience: Duration,
}

/// A publisher that goes to `broker`, and to the spool while that takes nothing.
///
/// Returns when what is in the spool is known, or that it cannot be opened: that is no error, and tried again in the
/// background of the current tokio runtime.
pub async fn open(broker: Arc<dyn Publisher>, settings: Settings) -> Arc<Spool> {
    metric::describe();
    let spool = Arc::new(Spool::new(broker, &settings));
    watch::start(&spool, settings).await;
    spool
}
