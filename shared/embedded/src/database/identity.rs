//! The identity of the file at a path.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and inode: no other file has both while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

pub(super) fn of(path: &Path) -> io::Result<Identity> {
    let metadata = std::fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}
