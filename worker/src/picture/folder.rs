//! The folder that users' pictures are kept below: `APPID/YYYY-MM-DD/DIGEST.EXTENSION`, the day that of the push in UTC,
//! the digest that of the message key. So a message that comes again finds its picture.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kefu_shared::disk;
use kefu_shared::envelope::Envelope;
use time::OffsetDateTime;

use super::Format;

/// Readable for nobody else: what users show is theirs.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Where it is set.
const SECTION: &str = "[received_pictures]";

/// The folder, which is made when it is needed.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether the picture of the message is there. The error is in words, as are those of the others.
    pub(crate) async fn has(&self, envelope: &Envelope) -> Result<bool, String> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let found = disk::call(move || Ok(find(&folder, &name)?.is_some())).await;
        found.map_err(|error| format!("{shown} cannot be looked into (the folder of {SECTION}): {error}"))
    }

    /// The picture of the message, if it is there.
    pub(crate) async fn read(&self, envelope: &Envelope) -> Result<Option<(&'static Format, Bytes)>, String> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let read = disk::call(move || match find(&folder, &name)? {
            Some((format, path)) => Ok(Some((format, fs::read(path)?.into()))),
            None => Ok(None),
        });
        read.await.map_err(|error| format!("a file in {shown} cannot be read (the folder of {SECTION}): {error}"))
    }

    /// Writes the picture of the message so that it is there whole, also after a crash, or not at all.
    pub(crate) async fn keep(
        &self,
        envelope: &Envelope,
        format: &'static Format,
        content: Bytes,
    ) -> Result<(), String> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let written = disk::call(move || write(&folder, &name, format.extension, &content)).await;
        written.map_err(|error| format!("a file in {shown} cannot be written (the folder of {SECTION}): {error}"))
    }

    fn day(&self, envelope: &Envelope) -> PathBuf {
        let seconds = i64::try_from(envelope.received_at_ms / 1_000).unwrap_or_default();
        let day = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
        // An account that is configured: its appid has letters and digits.
        self.0.join(&envelope.account).join(day.to_string())
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
    // The ledger lets one worker at a time at a message, so one that a crash left is nobody's.
    let part = folder.join(format!(".{name}.part"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, folder.join(format!("{name}.{extension}")))?;
    fs::File::open(folder)?.sync_all()
}
