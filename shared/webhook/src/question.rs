//! The body of a call: the envelope, alone as JSON or beside a picture as a form.

use bytes::Bytes;
use kefu_messages::envelope::Envelope;
use rand::Rng;

/// The body of a signed call, and the headers about it. Cheap to clone.
#[derive(Clone)]
pub struct Question {
    pub(super) content_type: String,
    pub(super) body: Bytes,
    /// `Kefu-Message`: [`MessageKey::digest`](kefu_messages::message_key::MessageKey::digest).
    pub(super) message: String,
    /// `Kefu-Media`.
    pub(super) media: Option<&'static str>,
}

/// The picture that a push names.
#[derive(Debug, Clone, Copy)]
pub enum Media<'a> {
    /// The push has no picture, or the rule does not ask for it.
    None,
    /// The picture is attached.
    File(MediaFile<'a>),
    /// The picture could not be had: why, as a word for the header.
    Missing(&'static str),
}

/// A file.
#[derive(Clone, Copy)]
pub struct MediaFile<'a> {
    /// The extension of its name, without the dot.
    pub extension: &'a str,
    /// `image/png`
    pub content_type: &'a str,
    /// The whole content.
    pub content: &'a [u8],
}

impl Question {
    /// The question about an envelope.
    pub fn new(envelope: &Envelope, media: Media<'_>) -> Self {
        let (message, json) = (envelope.key.digest(), envelope.to_json_with_raw());
        match media {
            Media::None => Self::json(message, json, None),
            Media::Missing(why) => Self::json(message, json, Some(why)),
            Media::File(file) => {
                let boundary = format!("kefu-{:032x}", rand::rng().random::<u128>());
                let body = form(&boundary, &json, &message, file);
                let content_type = format!("multipart/form-data; boundary={boundary}");
                Self { content_type, body: body.into(), message, media: Some("attached") }
            }
        }
    }

    fn json(message: String, body: Vec<u8>, media: Option<&'static str>) -> Self {
        Self { content_type: "application/json".to_owned(), body: body.into(), message, media }
    }
}

/// `multipart/form-data` with the parts `envelope` and `media`. The boundary is random, so that no file contains it.
fn form(boundary: &str, envelope: &[u8], name: &str, file: MediaFile<'_>) -> Vec<u8> {
    let MediaFile { extension, content_type, content } = file;
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"envelope\"\r\nContent-Type: application/json\r\n\r\n"
    );
    let between = format!(
        "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"{name}.{extension}\"\r\n\
         Content-Type: {content_type}\r\n\r\n"
    );
    let end = format!("\r\n--{boundary}--\r\n");
    [head.as_bytes(), envelope, between.as_bytes(), content, end.as_bytes()].concat()
}

impl std::fmt::Debug for MediaFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} bytes", self.content_type, self.content.len())
    }
}
