//! The format of a user's picture, told by its first bytes.

use kefu_messages::reply::picture::PictureFormat;

/// A format of pictures.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) extension: &'static str,
    pub(crate) content_type: &'static str,
    begins: &'static [u8],
}

const fn format(extension: &'static str, content_type: &'static str, begins: &'static [u8]) -> Format {
    Format { extension, content_type, begins }
}

const fn of_replies(picture: PictureFormat) -> Format {
    format(picture.extension(), picture.content_type(), picture.begins())
}

/// All formats. WeChat nearly always gives JPEG. The last format matches anything.
static FORMATS: [Format; 6] = [
    of_replies(PictureFormat::Jpeg),
    of_replies(PictureFormat::Png),
    of_replies(PictureFormat::Gif),
    format("webp", "image/webp", b"RIFF"),
    format("bmp", "image/bmp", b"BM"),
    format("bin", "application/octet-stream", b""),
];

impl Format {
    /// All formats.
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        FORMATS.iter()
    }

    /// The format of a file.
    pub(crate) fn of(content: &[u8]) -> &'static Self {
        FORMATS.iter().find(|format| content.starts_with(format.begins)).unwrap_or(&FORMATS[FORMATS.len() - 1])
    }
}
