//! The folder below which kefu keeps users' pictures: `APPID/YYYY-MM-DD/DIGEST.EXTENSION`. The day is that of the push
//! in UTC, and the digest is that of the message key, so a message that comes again finds its picture.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kefu_messages::envelope::Envelope;
use kefu_runtime::disk::Disk;
use parking_lot::Mutex;
use time::OffsetDateTime;

use super::room::Room;
use super::{FORMATS, File, Format};

/// The folder is readable for kefu's user alone, since users' pictures are private.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The end of a part's name, `.DIGEST.RANDOM.part`. A part is a picture that is still being written.
const PART: &str = ".part";

/// The age from which a part is stale, left by a crash. The age is far longer than any write on a healthy disk, and
/// than clocks differ.
const STALE: Duration = Duration::from_secs(3_600);

/// Why the folder did not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{what} (the folder of [received_pictures])")]
pub(crate) struct FolderError {
    what: String,
    #[source]
    error: io::Error,
}

/// The folder, which kefu creates at the first need.
pub(crate) struct Folder {
    path: PathBuf,
    pub(super) disk: Disk,
    /// The time of the last search for stale parts, in each folder of an account's day.
    swept: Arc<Mutex<HashMap<PathBuf, Instant>>>,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, disk: Disk::default(), swept: Arc::default() }
    }

    /// Whether the folder has the picture of the message.
    pub(crate) async fn has(&self, envelope: &Envelope) -> Result<bool, FolderError> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let found = self.disk.call(move || Ok(find(&folder, &name)?.is_some())).await;
        found.map_err(|error| FolderError { what: format!("{shown} cannot be searched"), error })
    }

    /// The picture of the message, if the folder has it; otherwise the room comes back. After an error the reading task
    /// keeps the room, since a hanging disk may still be reading.
    pub(crate) async fn read(&self, envelope: &Envelope, room: Room) -> Result<Result<File, Room>, FolderError> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let read = self.disk.call(move || match find(&folder, &name)? {
            Some((format, path)) => Ok(Ok(File::new(format, fs::read(path)?.into(), room))),
            None => Ok(Err(room)),
        });
        read.await.map_err(|error| FolderError { what: format!("a file in {shown} cannot be read"), error })
    }

    /// Writes the picture of the message so that the folder has the whole picture or nothing, even after a crash. The
    /// writing task keeps the picture, and its room, until the write ends.
    pub(crate) async fn keep(&self, envelope: &Envelope, picture: Arc<File>) -> Result<(), FolderError> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let (shown, swept) = (folder.display().to_string(), Arc::clone(&self.swept));
        let written = self.disk.call(move || {
            write(&folder, &name, picture.format.extension, &picture.content)?;
            sweep(folder, &swept);
            Ok(())
        });
        written.await.map_err(|error| FolderError { what: format!("a file in {shown} cannot be written"), error })
    }

    fn day(&self, envelope: &Envelope) -> PathBuf {
        let seconds = i64::try_from(envelope.received_at_ms / 1_000).unwrap_or_default();
        let day = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
        // The account is a configured one, so its appid has only letters and digits.
        self.path.join(&envelope.account).join(day.to_string())
    }
}

fn find(folder: &Path, name: &str) -> io::Result<Option<(&'static Format, PathBuf)>> {
    for format in &FORMATS {
        let path = folder.join(format!("{name}.{}", format.extension));
        if fs::exists(&path)? {
            return Ok(Some((format, path)));
        }
    }
    Ok(None)
}

fn write(folder: &Path, name: &str, extension: &str, content: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // Each write has a part of its own, since a write that hung and was abandoned may still go on.
    let part = folder.join(format!(".{name}.{:016x}{PART}", rand::random::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&part)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&part, folder.join(format!("{name}.{extension}")))) {
        // If this fails, a later sweep removes the part.
        fs::remove_file(&part).ok();
        return Err(error);
    }
    fs::File::open(folder)?.sync_all()
}

/// Removes the parts that crashes have left, unless a recent sweep looked for them.
fn sweep(folder: PathBuf, swept: &Mutex<HashMap<PathBuf, Instant>>) {
    {
        let (mut swept, now) = (swept.lock(), Instant::now());
        swept.retain(|_, at| now.duration_since(*at) < STALE);
        if swept.contains_key(&folder) {
            return;
        }
        swept.insert(folder.clone(), now);
    }
    if let Err(error) = remove_stale(&folder) {
        tracing::debug!(%error, "stale parts in the folder of [received_pictures] cannot be removed");
    }
}

fn remove_stale(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_part = name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(PART));
        if is_part && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > STALE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
