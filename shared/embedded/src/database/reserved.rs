//! A database file without holes: the room that redb counts on belongs to the file.
//!
//! redb extends its file without writing to the new part. On a disk that fills up, redb would then count on pages that the
//! disk does not have, and could not even delete a row: redb writes a deletion to free pages first.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// The file of a database. Only its owner may read a new file, because it contains users' messages and accounts' tokens.
#[derive(Debug)]
pub(super) struct ReservedFile {
    backend: FileBackend,
    file: File,
}

impl ReservedFile {
    /// Opens or creates the file.
    pub(super) fn open(path: &Path) -> Result<Self, redb::DatabaseError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Self { backend: FileBackend::new(file.try_clone()?)?, file })
    }

    fn reserve(&self, from: u64, upto: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), from, upto - from) {
            // Such file systems cannot reserve room.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl StorageBackend for ReservedFile {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let present = self.backend.len()?;
        if len > present {
            self.reserve(present, len)?;
        }
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }
}
