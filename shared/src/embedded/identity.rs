//! Which file a path leads to.

use std::io;
use std::path::Path;

/// Device and inode: no other file has both while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

#[cfg(unix)]
pub(super) fn of(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}

/// Elsewhere a file that is open can be neither deleted nor replaced.
#[cfg(not(unix))]
pub(super) fn of(_: &Path) -> io::Result<Identity> {
    Ok(Identity { device: 0, inode: 0 })
}
