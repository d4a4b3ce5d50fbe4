//! A disk that fails when it is told to.

// For tests alone, which end at the first fault of their own.
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

/// A disk that fails when it is told to. Clones are the same one.
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
    /// When it cannot be opened.
    pub fn open(&self, folder: &Path) -> Database {
        let (disk, path) = (self.clone(), folder.join(FILE_NAME));
        let opener = move || {
            disk.check_is_there()?;
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            // Nothing is remembered, so that every read meets the disk.
            let file = FailingFile { file: FileBackend::new(file)?, disk: disk.clone() };
            redb::Builder::new().set_cache_size(0).create_with_backend(file)
        };
        Database::start(File::open_with(folder.join(FILE_NAME), opener).unwrap()).unwrap()
    }

    /// While it is full, nothing can be written.
    pub fn set_full(&self, is_full: bool) {
        self.0.is_full.store(is_full, Ordering::SeqCst);
    }

    /// While it is gone, nothing works, not even opening the file.
    pub fn set_gone(&self, is_gone: bool) {
        self.0.is_gone.store(is_gone, Ordering::SeqCst);
    }

    /// The next sync writes everything and reports an error all the same.
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
