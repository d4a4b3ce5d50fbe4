//! Helpers for the tests of several crates.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::disk::Disk;

/// Makes as many calls of the disk hang as the disk accepts, until the caller drops the returned end.
///
/// # Panics
/// When a call ends.
pub async fn hang(disk: &Disk) -> Sender<()> {
    let (end, hangs) = channel::<()>();
    let hangs = Arc::new(Mutex::new(hangs));
    // More than the disk accepts.
    for _ in 0..100 {
        let hangs = Arc::clone(&hangs);
        let work = move || Ok(hangs.lock().map(|hangs| hangs.recv().is_ok()).is_ok());
        assert!(disk.call_until(Instant::now(), work).await.is_err());
    }
    end
}
