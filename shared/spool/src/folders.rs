//! The spool's folder: a numbered folder with a file for each ingress process that uses it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kefu_embedded::DatabaseError;

use super::file::{Found, SpoolFile};

/// How many numbered folders there can be, and so how many processes can share the spool's folder.
const MOST_FOLDERS: u16 = 256;

/// The files at the start of a process.
pub(super) struct Opened {
    /// The file that the process writes.
    pub(super) own: Contents,
    /// The files that ended processes have left with messages in them.
    pub(super) left: Vec<Contents>,
}

/// A file, and its content.
pub(super) type Contents = (SpoolFile, Vec<Found>);

/// Manages the numbered folders for one process.
pub(super) struct Folders {
    folder: PathBuf,
    own: Option<u16>,
    /// The folders with messages that no process held at the last look.
    seen_free: BTreeSet<u16>,
}

impl Folders {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, own: None, seen_free: BTreeSet::new() }
    }

    #[cfg(test)]
    pub(super) fn after(folder: PathBuf, own: u16) -> Self {
        Self { own: Some(own), ..Self::new(folder) }
    }

    /// Takes the first folder that no other process holds, and the files that ended processes have left in other folders.
    pub(super) async fn open(&mut self) -> Result<Opened, DatabaseError> {
        let (number, own) = first_free(&self.folder).await?;
        let found = own.scan().await?;
        self.own = Some(number);
        Ok(Opened { own: (own, found), left: self.take_over(|_| true).await.into_iter().collect() })
    }

    /// Takes over files that were free at the previous call, too: a process that is about to start again may need its file.
    pub(super) async fn look_again(&mut self) -> Vec<Contents> {
        let seen_free = std::mem::take(&mut self.seen_free);
        self.take_over(|number| seen_free.contains(&number)).await
    }

    async fn take_over(&mut self, may_take: impl Fn(u16) -> bool) -> Vec<Contents> {
        let mut taken = Vec::new();
        for number in numbered(&self.folder).into_iter().filter(|&number| Some(number) != self.own) {
            match open_if_left(self.folder.join(number.to_string())).await {
                Ok(Some(contents)) if may_take(number) => taken.push(contents),
                Ok(Some((file, _))) => {
                    file.close().await;
                    self.seen_free.insert(number);
                }
                Ok(None) => {}
                // The process of this file lives, and relays the file itself.
                Err(DatabaseError::InUse { .. }) => {}
                Err(error) => {
                    tracing::error!(%error, "messages that an ended process left in the spool cannot be relayed");
                }
            }
        }
        taken
    }
}

async fn first_free(folder: &Path) -> Result<(u16, SpoolFile), DatabaseError> {
    let mut held = None;
    for number in 0..MOST_FOLDERS {
        match open_file(folder.join(number.to_string())).await {
            Ok(file) => return Ok((number, file)),
            Err(error @ DatabaseError::InUse { .. }) => held = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(held.unwrap_or(DatabaseError::Closed))
}

async fn open_if_left(folder: PathBuf) -> Result<Option<Contents>, DatabaseError> {
    let file = open_file(folder).await?;
    let found = file.scan().await?;
    if found.is_empty() {
        file.close().await;
        return Ok(None);
    }
    Ok(Some((file, found)))
}

async fn open_file(folder: PathBuf) -> Result<SpoolFile, DatabaseError> {
    tokio::task::spawn_blocking(move || SpoolFile::open(&folder)).await?
}

/// The numbers of the existing folders, in order. An unreadable folder has failed earlier.
fn numbered(folder: &Path) -> BTreeSet<u16> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
