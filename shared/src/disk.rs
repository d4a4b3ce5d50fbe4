//! Files that are read and written while messages are handled, on a disk that may hang: a network's that is away, or a
//! broken one.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Far longer than a disk that works takes, and shorter than what waits for it can.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many calls are under way at once. Those that hang keep their threads: fewer than tokio's, or names would not be
/// looked up any more either.
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(64)));

/// Does `work` on a thread that may block.
///
/// # Errors
/// [`ErrorKind::TimedOut`] when it takes longer than 10 seconds: then it goes on by itself, and what comes of it is lost.
pub async fn call<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    call_within(DEADLINE, work).await
}

async fn call_within<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let called = async {
        // It is never closed.
        let room = Arc::clone(&ROOM).acquire_owned().await.ok();
        let work = move || {
            let _room = room;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::other)?
    };
    let late = |_| Error::new(ErrorKind::TimedOut, format!("the disk does not answer within {deadline:?}"));
    tokio::time::timeout(deadline, called).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_waited_for_until_the_deadline_only() {
        let (end, hangs) = mpsc::channel::<()>();
        let called = call_within(Duration::from_millis(20), move || hangs.recv().map_err(Error::other)).await;
        let error = called.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the disk does not answer within 20ms");
        assert_eq!(call(|| Ok(7)).await.unwrap(), 7, "others go on");
        drop(end);
    }

    #[test]
    fn a_program_ends_while_its_disk_hangs() {
        let (end, hangs) = mpsc::channel::<()>();
        let (ended, watch) = mpsc::channel();
        let program = std::thread::spawn(move || {
            let late = crate::lifecycle::block_on(async {
                let work = move || hangs.recv().map_err(Error::other);
                call_within(Duration::from_millis(20), work).await.unwrap_err().kind()
            });
            ended.send(late).unwrap();
        });
        let late = watch.recv_timeout(Duration::from_secs(30));
        // Before the assertion, or the test's process would not end either.
        drop(end);
        assert_eq!(late.unwrap().unwrap(), ErrorKind::TimedOut);
        program.join().unwrap();
    }
}
