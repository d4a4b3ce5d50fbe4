//! Pictures in replies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The picture formats that media/upload takes, recognised by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG
    Png,
    /// JPEG
    Jpeg,
    /// GIF
    Gif,
}

impl PictureFormat {
    const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Gif];

    /// The format of a file that starts with these bytes.
    pub fn of(content: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|format| content.starts_with(format.begins()))
    }

    /// The first bytes of every file of this format.
    pub const fn begins(self) -> &'static [u8] {
        match self {
            Self::Png => b"\x89PNG",
            Self::Jpeg => b"\xff\xd8\xff",
            Self::Gif => b"GIF8",
        }
    }

    /// The ending of the format's file names, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
        }
    }

    /// The media type of the format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
        }
    }
}

/// The only folder with pictures of replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFolder {
    /// The configuration's folder, where the names of pictures start; the empty path is the program's working folder.
    pub path: PathBuf,
    /// The most bytes that one picture may have.
    pub max_bytes: u64,
}

/// The number of bytes that identify a format: the longest of [`PictureFormat::begins`].
const FORMAT_BYTES: u64 = 4;

/// Why a file cannot be sent as a picture, with its path.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The system does not open the file.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file is not opened, because a read of a FIFO, for example, would wait without end.
    #[error("{0} is not a regular file (but a folder, pipe, device or socket)")]
    NoFile(PathBuf),
    /// The file is too large.
    #[error("{file} has {bytes} bytes, the most is {most}")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The size of the file, as far as it was read.
        bytes: u64,
        /// The largest allowed size.
        most: u64,
    },
    /// The format is none that WeChat takes.
    #[error("{0} is no PNG, JPEG or GIF")]
    NoPicture(PathBuf),
}

/// Reads a picture of at most `max_bytes`. Blocks until the disk answers.
///
/// # Errors
/// [`PictureError`]
pub fn read(path: &Path, max_bytes: u64) -> Result<(Vec<u8>, PictureFormat), PictureError> {
    let file = open(path, max_bytes)?;
    // One byte more, because the file may have grown.
    let content = take(file, path, max_bytes.saturating_add(1))?;
    let bytes = content.len() as u64;
    if bytes > max_bytes {
        return Err(PictureError::TooLarge { file: path.to_owned(), bytes, most: max_bytes });
    }
    let format = PictureFormat::of(&content).ok_or_else(|| PictureError::NoPicture(path.to_owned()))?;
    Ok((content, format))
}

pub(super) fn problem(name: &str, path: &Path, max_bytes: u64) -> Option<String> {
    let begins = open(path, max_bytes).and_then(|file| take(file, path, FORMAT_BYTES));
    let error = match begins {
        Ok(begins) if PictureFormat::of(&begins).is_none() => PictureError::NoPicture(path.to_owned()),
        Ok(_) => return None,
        Err(error) => error,
    };
    Some(format!("{name} {error}"))
}

fn open(path: &Path, max_bytes: u64) -> Result<File, PictureError> {
    let unreadable = |error| PictureError::Unreadable(path.to_owned(), error);
    // Checked before the file is opened, because opening some devices has effects; and again after it, when the file cannot
    // become another one any more.
    let mut metadata = std::fs::metadata(path).map_err(unreadable)?;
    let mut opened = None;
    if metadata.is_file() {
        // Without waiting, in case a FIFO has taken the file's place.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
        metadata = file.metadata().map_err(unreadable)?;
        opened = Some(file);
    }
    let bytes = metadata.len();
    match opened.filter(|_| metadata.is_file()) {
        None => Err(PictureError::NoFile(path.to_owned())),
        Some(_) if bytes > max_bytes => Err(PictureError::TooLarge { file: path.to_owned(), bytes, most: max_bytes }),
        Some(file) => Ok(file),
    }
}

fn take(file: File, path: &Path, bytes: u64) -> Result<Vec<u8>, PictureError> {
    let mut content = Vec::new();
    let read = file.take(bytes).read_to_end(&mut content);
    read.map_err(|error| PictureError::Unreadable(path.to_owned(), error))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> (PathBuf, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        std::fs::write(&file, content).unwrap();
        (file, folder)
    }

    #[test]
    fn what_a_look_at_a_file_reads_tells_every_format() {
        assert!(PictureFormat::ALL.iter().all(|format| format.begins().len() as u64 <= FORMAT_BYTES));
    }

    #[test]
    fn a_picture_is_read_whole_up_to_the_limit() {
        let (path, _folder) = file(b"\x89PNG5678");
        assert_eq!(read(&path, 8).unwrap(), (b"\x89PNG5678".to_vec(), PictureFormat::Png));
        assert_eq!(problem("image", &path, 8), None);
        let large = format!("image {} has 8 bytes, the most is 7", path.display());
        assert_eq!(problem("image", &path, 7), Some(large));
        assert!(matches!(read(&path, 7), Err(PictureError::TooLarge { bytes: 8, most: 7, .. })));
    }

    #[test]
    fn what_is_no_regular_file_is_never_waited_for() {
        let (path, folder) = file(b"\x89PNG");
        let fifo = folder.path().join("fifo.png");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [fifo.as_path(), folder.path(), Path::new("/dev/zero")] {
            assert!(matches!(read(path, 1_000), Err(PictureError::NoFile(_))), "{}", path.display());
            let problem = problem("image", path, 1_000).unwrap();
            assert!(problem.contains("is not a regular file"), "{problem}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(problem("image", &path, 8).unwrap().contains("cannot be read: No such file"));
    }

    #[test]
    fn a_file_of_the_system_that_says_it_is_empty_is_not_read_beyond_the_limit() {
        let endless = Path::new("/proc/self/maps");
        assert!(matches!(read(endless, 100), Err(PictureError::TooLarge { bytes: 101, most: 100, .. })));
    }
}
