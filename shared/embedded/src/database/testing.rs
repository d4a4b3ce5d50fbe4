//! A disk that fails on demand.

// Tests only, which end at their own first fault.
#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend, StorageError};

use super::file::File;
use super::{Database, FILE_NAME};

/// A disk that fails on demand. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Faults>);

#[derive(Debug, Default)]
struct Faults {
    is_full: AtomicBool,
    is_gone: AtomicBool,
    next_sync_fails: AtomicBool,
}

impl Disk {
    /// Opens the database below `folder` on this disk.
    ///
    /// # Panics
    /// When the database cannot be opened.
    pub fn open(&self, folder: &Path) -> Database {
        let (disk, path) = (self.clone(), folder.join(FILE_NAME));
        let opener = move || {
            disk.check_is_there()?;
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            // Without a cache, so that every read reaches the disk.
            let file = FailingFile { file: FileBackend::new(file)?, disk: disk.clone() };
            redb::Builder::new().set_cache_size(0).create_with_backend(file)
        };
        Database::start(File::open_with(folder.join(FILE_NAME), opener).unwrap()).unwrap()
    }

    /// Sets whether the disk is full; a full disk takes no writes.
    pub fn set_full(&self, is_full: bool) {
        self.0.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Sets whether the disk is gone. Nothing works on such a disk, not even opening the file.
    pub fn set_gone(&self, is_gone: bool) {
        self.0.is_gone.store(is_gone, Ordering::SeqCst);
    }

    /// Lets the next sync write everything and report an error all the same.
    pub fn fail_next_sync(&self) {
        self.0.next_sync_fails.store(true, Ordering::SeqCst);
    }

    fn check_is_there(&self) -> Result<(), StorageError> {
        Ok(self.check()?)
    }

    fn check(&self) -> io::Result<()> {
        match self.0.is_gone.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the disk is gone")),
            false => Ok(()),
        }
    }

    fn check_room(&self) -> io::Result<()> {
        self.check()?;
        match self.0.is_full.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

#[derive(Debug)]
struct FailingFile {
    file: FileBackend,
    disk: Disk,
}

impl StorageBackend for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.check()?;
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.check()?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.check()?;
        self.file.sync_data()?;
        match self.disk.0.next_sync_fails.swap(false, Ordering::SeqCst) {
            true => Err(io::Error::other("the answer of the disk was lost")),
            false => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.check_room()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}
