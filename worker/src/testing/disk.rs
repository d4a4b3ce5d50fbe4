//! Disks that hang.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use kefu_runtime::disk::Disk;
use tokio::time::Instant;

/// Makes as many calls of the disk hang as the disk allows at once, until the test drops the returned end.
pub(crate) async fn hang(disk: &Disk) -> Sender<()> {
    let (end, hangs) = channel::<()>();
    let hangs = Arc::new(Mutex::new(hangs));
    // This is more than the disk allows.
    for _ in 0..100 {
        let hangs = Arc::clone(&hangs);
        let work = move || Ok(hangs.lock().unwrap().recv().is_ok());
        assert!(disk.call_until(Instant::now(), work).await.is_err());
    }
    end
}
