//! The thread that pushes' connections live on.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

/// A runtime of one thread, which ends with the last clone.
///
/// hyper runs a connection as a task beside its requests. On two threads, a request that is handed over at the instant at
/// which its connection ends is neither sent nor refused (hyperium/hyper#4122): the push would have waited for its whole
/// time limit, and ingress been blamed. On one thread there is no such instant.
#[derive(Clone, Debug)]
pub(super) struct OneThread {
    handle: Handle,
    _ends: Arc<DropGuard>,
}

impl OneThread {
    /// Starts it.
    ///
    /// # Errors
    /// If the system has no further thread, or no further files for its events.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, ends) = (runtime.handle().clone(), CancellationToken::new());
        let ended = ends.clone();
        thread::Builder::new().name("pusher".to_owned()).spawn(move || runtime.block_on(ended.cancelled()))?;
        Ok(Self { handle, _ends: Arc::new(ends.drop_guard()) })
    }

    /// Runs `work` there. Dropped, this drops the work.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        AbortOnDropHandle::new(self.handle.spawn(work)).await.ok()
    }
}
