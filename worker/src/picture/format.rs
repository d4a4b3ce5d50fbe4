//! What a picture that a user sent is, told by its first bytes.

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

/// WeChat gives JPEG nearly always. The last one is anything.
static FORMATS: [Format; 6] = [
    format("jpg", "image/jpeg", b"\xff\xd8\xff"),
    format("png", "image/png", b"\x89PNG"),
    format("gif", "image/gif", b"GIF8"),
    format("webp", "image/webp", b"RIFF"),
    format("bmp", "image/bmp", b"BM"),
    format("bin", "application/octet-stream", b""),
];

impl Format {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        FORMATS.iter()
    }

    /// That of a file.
    pub(crate) fn of(content: &[u8]) -> &'static Self {
        FORMATS.iter().find(|format| content.starts_with(format.begins)).unwrap_or(&FORMATS[FORMATS.len() - 1])
    }
}
