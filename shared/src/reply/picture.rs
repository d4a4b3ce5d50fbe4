//! Pictures that replies show.

use std::path::Path;

/// The picture formats that media/upload takes, told by their first bytes.
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
    /// The format of a file that starts with these bytes.
    pub fn of(content: &[u8]) -> Option<Self> {
        match content {
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', ..] => Some(Self::Gif),
            _ => None,
        }
    }
}

pub(super) fn problem(name: &str, path: &Path, max_bytes: u64) -> Option<String> {
    let shown = path.display();
    match std::fs::read(path) {
        Err(error) => Some(format!("{name} {shown} cannot be read: {error}")),
        Ok(content) if content.len() as u64 > max_bytes => {
            Some(format!("{name} {shown} has {} bytes, the most is {max_bytes}", content.len()))
        }
        Ok(content) if PictureFormat::of(&content).is_none() => Some(format!("{name} {shown} is no PNG, JPEG or GIF")),
        Ok(_) => None,
    }
}
