//! The folder that users' pictures are kept below: `APPID/YYYY-MM-DD/DIGEST.EXTENSION`, the day that of the push in UTC,
//! the digest that of the message key. So a message that comes again finds its picture.

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
use super::{File, Format};

/// Readable for nobody else: what users show is theirs.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Where it is set.
const SECTION: &str = "[received_pictures]";

/// What a part of a picture is called while it is written: `.DIGEST.RANDOM.part`.
const PART: &str = ".part";

/// How old a part is that nobody is writing any more: a crash left it. Far older than any write on a disk that works, and
/// than clocks differ.
const STALE: Duration = Duration::from_secs(3_600);

/// The folder, which is made when it is needed.
pub(crate) struct Folder {
    path: PathBuf,
    pub(super) disk: Disk,
    /// When stale parts were last looked for, in each folder of an account's day.
    swept: Arc<Mutex<HashMap<PathBuf, Instant>>>,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, disk: Disk::default(), swept: Arc::default() }
    }

    /// Whether the picture of the message is there. The error is in words, as are those of the others.
    pub(crate) async fn has(&self, envelope: &Envelope) -> Result<bool, String> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let found = self.disk.call(move || Ok(find(&folder, &name)?.is_some())).await;
        found.map_err(|error| format!("{shown} cannot be looked into (the folder of {SECTION}): {error}"))
    }

    /// The picture of the message, if it is there; else the room comes back. After an error whoever reads keeps the room, as
    /// a disk that hangs may still be reading.
    pub(crate) async fn read(&self, envelope: &Envelope, room: Room) -> Result<Result<File, Room>, String> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let read = self.disk.call(move || match find(&folder, &name)? {
            Some((format, path)) => Ok(Ok(File::new(format, fs::read(path)?.into(), room))),
            None => Ok(Err(room)),
        });
        read.await.map_err(|error| format!("a file in {shown} cannot be read (the folder of {SECTION}): {error}"))
    }

    /// Writes the picture of the message so that it is there whole, also after a crash, or not at all. Whoever writes keeps
    /// it, and its room, until that ends.
    pub(crate) async fn keep(&self, envelope: &Envelope, picture: Arc<File>) -> Result<(), String> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let (shown, swept) = (folder.display().to_string(), Arc::clone(&self.swept));
        let written = self.disk.call(move || {
            write(&folder, &name, picture.format.extension, &picture.content)?;
            sweep(folder, &swept);
            Ok(())
        });
        written.await.map_err(|error| format!("a file in {shown} cannot be written (the folder of {SECTION}): {error}"))
    }

    fn day(&self, envelope: &Envelope) -> PathBuf {
        let seconds = i64::try_from(envelope.received_at_ms / 1_000).unwrap_or_default();
        let day = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
        // An account that is configured: its appid has letters and digits.
        self.path.join(&envelope.account).join(day.to_string())
    }
}

fn find(folder: &Path, name: &str) -> io::Result<Option<(&'static Format, PathBuf)>> {
    for format in Format::all() {
        let path = folder.join(format!("{name}.{}", format.extension));
        if fs::exists(&path)? {
            return Ok(Some((format, path)));
        }
    }
    Ok(None)
}

fn write(folder: &Path, name: &str, extension: &str, content: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // One of its own: a write that hung, and was given up, may still go on.
    let part = folder.join(format!(".{name}.{:016x}{PART}", rand::random::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&part)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&part, folder.join(format!("{name}.{extension}")))) {
        // What is left of it is swept away.
        fs::remove_file(&part).ok();
        return Err(error);
    }
    fs::File::open(folder)?.sync_all()
}

/// Removes what crashes have left, if nobody looked for it a while ago.
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
        tracing::debug!(%error, "what a crash may have left in the folder of {SECTION} stays there");
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
