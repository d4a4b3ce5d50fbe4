//! The errors of the database.

use std::io;
use std::path::PathBuf;

/// Why the database cannot be opened, or did not do a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The words of the operating system.
        reason: String,
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
    #[error("{} cannot be opened: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The mistake in the file.
        reason: String,
    },
    /// The disk is full; the database works again when the disk has room.
    #[error("the disk that holds the database is full")]
    Full,
    /// The disk failed, or the stored data are damaged. Each call tries again.
    #[error("the database failed: {0}")]
    Failed(String),
    /// The file was deleted under the process.
    #[error(
        "{} is gone: what is queued and stored ends with this process; stop it when its work is done, and start it again",
        path.display()
    )]
    Gone {
        /// The file's former path.
        path: PathBuf,
    },
    /// Another file was put in its place under the process.
    #[error(
        "{} is another file than the one that was opened: what is queued and stored ends with this process; stop it when \
         its work is done, and start it again",
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

/// For a task that panicked. The error's text is dropped, because it quotes the panic's text, which may quote a message.
impl From<tokio::task::JoinError> for DatabaseError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Failed("the work on it panicked".to_owned())
    }
}

impl From<&redb::Error> for DatabaseError {
    fn from(error: &redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if is_full(error) => Self::Full,
            other => Self::Failed(other.to_string()),
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
