//! The errors of the database.

use std::io;
use std::path::PathBuf;

use kefu_runtime::{Cause, Class};

/// Why the database cannot be opened, or did not do a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        cause: Cause,
    },
    /// The file is open already, here or in another process.
    #[error(
        "{} is in use by another kefu process: stop that one, or give this one a data folder of its own",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no database, or is damaged, or has another version.
    #[error("{} cannot be opened: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The mistake in the file.
        #[source]
        cause: Cause,
    },
    /// The disk is full; the database works again when the disk has room.
    #[error("the disk that holds the database is full")]
    Full(#[source] Cause),
    /// The disk failed, or the stored data are damaged. Each call tries again.
    #[error("the database failed: {0}")]
    Failed(#[source] Cause),
    /// The file was deleted under the process.
    #[error(
        "{} is gone: the queued messages and the state in the file are lost when this process ends; stop the process when \
         its work is done, and start it again",
        path.display()
    )]
    Gone {
        /// The file's former path.
        path: PathBuf,
    },
    /// Another file was put in its place under the process.
    #[error(
        "{} is another file than the one that was opened: the queued messages and the state in the opened file are lost \
         when this process ends; stop the process when its work is done, and start it again",
        path.display()
    )]
    Replaced {
        /// The file's former path.
        path: PathBuf,
    },
    /// The database's thread has ended.
    #[error("the database is closed")]
    Closed,
}

impl DatabaseError {
    /// What the caller can do.
    pub fn class(&self) -> Class {
        match self {
            Self::Full(_) => Class::Throttled,
            Self::Failed(_) => Class::Transient,
            Self::Folder { .. }
            | Self::InUse { .. }
            | Self::Unreadable { .. }
            | Self::Gone { .. }
            | Self::Replaced { .. }
            | Self::Closed => Class::Ours,
        }
    }
}

/// For a task that panicked. The error's text is dropped, because it quotes the panic's text, which may quote a
/// message.
impl From<tokio::task::JoinError> for DatabaseError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Failed("the work on it panicked".into())
    }
}

/// redb's texts name tables, types and lengths, and never a key or a value.
impl From<&redb::Error> for DatabaseError {
    fn from(error: &redb::Error) -> Self {
        match error {
            redb::Error::Io(system) if is_full(system) => Self::Full(Cause::new(error.to_string(), system)),
            redb::Error::Io(system) => Self::Failed(Cause::new(error.to_string(), system)),
            _ => Self::Failed(error.to_string().into()),
        }
    }
}

/// Whether redb may have stopped serving this file handle because of `error`: after a failed read, write or sync, redb
/// answers everything with `PreviousIo` until the file is closed and opened again.
pub(super) fn needs_reopening(error: &redb::Error) -> bool {
    use redb::Error::{Corrupted, Io, LockPoisoned, PreviousIo, TransactionPoisoned};
    matches!(error, Io(_) | PreviousIo | LockPoisoned(_) | Corrupted(_) | TransactionPoisoned)
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
