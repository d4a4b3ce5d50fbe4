//! The folder that users' pictures are kept below: `APPID/YYYY-MM-DD/DIGEST.EXTENSION`, the day that of the push in UTC,
//! the digest that of the message key. So a message that comes again finds its picture.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kefu_shared::envelope::Envelope;
use time::OffsetDateTime;

use super::Format;

/// Readable for nobody else: what users show is theirs.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// See above.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether the picture of the message is there.
    pub(crate) async fn has(&self, envelope: &Envelope) -> bool {
        self.find(envelope).await.is_some()
    }

    /// The picture of the message, if it is there and can be read.
    pub(crate) async fn read(&self, envelope: &Envelope) -> Option<(&'static Format, Bytes)> {
        let (format, path) = self.find(envelope).await?;
        let content = tokio::fs::read(path).await.ok()?;
        Some((format, content.into()))
    }

    /// Writes the picture of the message so that it is there whole, also after a crash, or not at all. The error is in
    /// words.
    pub(crate) async fn keep(
        &self,
        envelope: &Envelope,
        format: &'static Format,
        content: Bytes,
    ) -> Result<(), String> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        let shown = folder.display().to_string();
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, format.extension, &content)).await;
        written
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| format!("a file in {shown} cannot be written ([media] folder): {error}"))
    }

    async fn find(&self, envelope: &Envelope) -> Option<(&'static Format, PathBuf)> {
        let (folder, name) = (self.day(envelope), envelope.key.digest());
        for format in Format::all() {
            let path = folder.join(format!("{name}.{}", format.extension));
            if tokio::fs::try_exists(&path).await.unwrap_or(false) {
                return Some((format, path));
            }
        }
        None
    }

    fn day(&self, envelope: &Envelope) -> PathBuf {
        let seconds = i64::try_from(envelope.received_at_ms / 1_000).unwrap_or_default();
        let day = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
        // An account that is configured: its appid has letters and digits.
        self.0.join(&envelope.account).join(day.to_string())
    }
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
