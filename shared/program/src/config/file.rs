//! Files that the programs read whole at their start.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The text of a regular file of at most `max_bytes`, without a byte order mark. The error continues a sentence that begins
/// with the file's name, and shows nothing of the content.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<String, String> {
    text(read_bytes(path, max_bytes)?)
}

/// The content of a regular file of at most `max_bytes`; the error is as for [`read`].
pub(super) fn read_bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Checked before the file is opened: opening a FIFO waits for its writer.
    let kind = std::fs::metadata(path).map_err(unreadable)?.file_type();
    if kind.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    if !kind.is_file() {
        return Err("is not a regular file (but a pipe, device or socket)".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(max_bytes + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("has more than {} KiB", max_bytes / 1024));
    }
    Ok(bytes)
}

/// The text of a file, without a byte order mark.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}
