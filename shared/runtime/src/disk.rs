//! Files that are read and written while messages are handled, on a disk that may hang: the disk of an unreachable network,
//! or a broken disk.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::gate::Gate;

/// Far longer than a working disk takes, and shorter than the callers can wait.
const WITHIN: Duration = Duration::from_secs(10);

/// How many calls of one [`Disk`] are under way at once. A call that hangs keeps its thread. All disks of a process
/// together must have fewer calls than tokio's 512 threads, or no thread would be left to look up names.
const AT_ONCE: usize = 32;

/// The files of one purpose. Each purpose has a disk of its own, so that hanging files hold up nobody who needs other
/// files. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk(Gate);

impl Default for Disk {
    fn default() -> Self {
        Self(Gate::new(AT_ONCE))
    }
}

impl Disk {
    /// Does `work` on a thread that may block.
    ///
    /// # Errors
    /// `work`'s own. [`ErrorKind::TimedOut`] when `work` takes longer than 10 seconds: `work` then goes on by itself, and
    /// keeps everything that it owns until it ends. [`ErrorKind::TimedOut`] at once, when as many calls as are allowed
    /// hang.
    pub async fn call<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.call_until(Instant::now() + WITHIN, work).await
    }

    /// As [`Disk::call`], for a caller who has time only until `deadline`.
    ///
    /// # Errors
    /// As [`Disk::call`].
    pub async fn call_until<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.0.enter(deadline).await.ok_or_else(hangs)?;
        // The permit ends with the work, even if nobody waits for the work any more.
        let work = move || {
            let _permit = permit;
            work()
        };
        match timeout_at(deadline, tokio::task::spawn_blocking(work)).await {
            // Not in tokio's words: they contain the panic's text, which may contain anything.
            Ok(done) => done.unwrap_or_else(|_| {
                Err(Error::other("the code that reads or writes the file panicked: a fault of kefu, report it"))
            }),
            Err(_) => {
                self.0.is_stuck();
                Err(hangs())
            }
        }
    }
}

fn hangs() -> Error {
    Error::new(ErrorKind::TimedOut, "the disk does not answer")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;
    use crate::gate::Permit;
    use crate::testing::hang;

    /// All permits of the disk.
    async fn all(disk: &Disk) -> Vec<Permit> {
        let mut permits = Vec::new();
        while permits.len() < AT_ONCE {
            permits.extend(disk.0.enter(Instant::now() + WITHIN).await);
        }
        permits
    }

    #[tokio::test]
    async fn what_hangs_is_waited_for_until_the_deadline_only() {
        let (disk, (end, hangs)) = (Disk::default(), mpsc::channel::<()>());
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = disk.call_until(deadline, move || hangs.recv().map_err(Error::other)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= deadline);
        assert_eq!(disk.call(|| Ok(7)).await.unwrap(), 7, "others go on");
        drop(end);
    }

    #[tokio::test]
    async fn a_disk_whose_calls_all_hang_is_not_waited_for_and_holds_up_no_other() {
        let (network, local) = (Disk::default(), Disk::default());
        let end = hang(&network).await;
        assert_eq!(local.call(|| Ok(7)).await.unwrap(), 7);
        let refused = network.call(|| Ok(7)).now_or_never();
        assert_eq!(refused.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        drop(end);
        // The hanging calls end, one after the other.
        let _all = all(&network).await;
        assert!(network.call(|| Ok(7)).now_or_never().is_none(), "since one ended, room is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_wait_for_room_that_does_not_come() {
        let disk = Disk::default();
        let all = all(&disk).await;
        let begun = Instant::now();
        for _ in 0..2 {
            assert_eq!(disk.call(|| Ok(7)).await.unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(begun.elapsed(), WITHIN);
        }
        drop(all);
        assert_eq!(disk.call(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn the_text_of_a_panic_is_not_passed_on() {
        let error = Disk::default().call::<()>(|| panic!("HUSH")).await.unwrap_err();
        assert!(error.to_string().contains("panicked") && !error.to_string().contains("HUSH"), "{error}");
    }

    #[test]
    fn a_program_ends_while_its_disk_hangs() {
        let (end, hangs) = mpsc::channel::<()>();
        let (ended, watch) = mpsc::channel();
        let program = std::thread::spawn(move || {
            let late = crate::lifecycle::block_on(async {
                let work = move || hangs.recv().map_err(Error::other);
                Disk::default().call_until(Instant::now(), work).await.unwrap_err().kind()
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
