//! Disks that hang.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use kefu_runtime::disk::Disk;
use tokio::time::Instant;

/// Has as many calls of the disk hang as it takes, until the returned end is dropped.
pub(crate) async fn hang(disk: &Disk) -> Sender<()> {
    let (end, hangs) = channel::<()>();
    let hangs = Arc::new(Mutex::new(hangs));
    // More than it takes.
    for _ in 0..100 {
        let hangs = Arc::clone(&hangs);
        let work = move || Ok(hangs.lock().unwrap().recv().is_ok());
        assert!(disk.call_until(Instant::now(), work).await.is_err());
    }
    end
}
