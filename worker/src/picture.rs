//! The pictures that users send. The worker fetches a picture before WeChat forgets it, for a webhook or to keep it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kefu_messages::envelope::Envelope;
use kefu_messages::reply::picture::PictureFormat;
use kefu_program::config::Config;
use kefu_runtime::in_words;
use kefu_wechat::push::Content;

use crate::attempt::Attempt;
use crate::outcome::Outcome;
use crate::send::pauses::Pauses;
use crate::wechat::WeChat;
use crate::wechat::token::AccessTokens;

mod fetch;
mod folder;
mod room;

use fetch::Fetch;
pub(crate) use folder::Folder;
use room::{Room, Rooms};

/// Fetches the pictures that users send, and keeps them where the configuration says so.
pub(crate) struct Pictures {
    folder: Option<Folder>,
    /// The memory that pictures may take.
    rooms: Rooms,
    pub(crate) fetch: Fetch,
}

/// The picture of a push.
pub(crate) enum Received {
    /// The push has no picture.
    None,
    /// The picture, in memory.
    File(Arc<File>),
    /// WeChat does not give the picture, and never will. The text is one of [`why`].
    Missing(&'static str),
}

/// Why a picture is missing: a word for webhooks, and the outcome of the fetch in metrics.
mod why {
    pub(super) const EXPIRED: &str = "expired";
    pub(super) const TOO_LARGE: &str = "too_large";
    pub(super) const REFUSED: &str = "refused";
}

/// A user's picture in memory, with the room that the picture takes there.
pub(crate) struct File {
    pub(crate) format: &'static Format,
    pub(crate) content: Bytes,
    _room: Room,
}

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
    /// The format of a file.
    pub(crate) fn of(content: &[u8]) -> &'static Self {
        FORMATS.iter().find(|format| content.starts_with(format.begins)).unwrap_or(&FORMATS[FORMATS.len() - 1])
    }
}

impl File {
    fn new(format: &'static Format, content: Bytes, mut room: Room) -> Self {
        room.shrink_to(content.len());
        Self { format, content, _room: room }
    }
}

impl Pictures {
    /// `sends`: the accounts whose sends are paused.
    pub(crate) fn new(config: &Config, wechat: Arc<WeChat>, tokens: Arc<AccessTokens>, sends: Arc<Pauses>) -> Self {
        let max_bytes = usize::try_from(config.received_pictures.max_bytes).unwrap_or(usize::MAX);
        let folder = config.received_pictures.folder.clone().map(Folder::new);
        let rooms = Rooms::new(&config.accounts, max_bytes);
        Self { folder, rooms, fetch: Fetch::new(max_bytes, wechat, tokens, sends) }
    }

    /// Whether the push has a picture that kefu must keep.
    pub(crate) fn keeps_one_of(&self, envelope: &Envelope) -> bool {
        self.folder.is_some() && matches!(envelope.push.content, Content::Image { .. })
    }

    /// The push's picture. Where pictures are kept, this also keeps the picture. If that fails, the caller gets the
    /// picture without waiting, and [`Pictures::keep`] tries again later.
    pub(crate) async fn received(&self, attempt: &mut Attempt<'_>) -> Result<Received, Outcome> {
        let envelope = attempt.envelope;
        let Some(media_id) = media_id(envelope) else { return Ok(Received::None) };
        // The folder is asked before the picture gets room, so that a hanging disk holds no room.
        let is_kept = match &self.folder {
            Some(folder) => attempt.wait_if_long(folder.has(envelope)).await?,
            None => Ok(false),
        };
        let mut room = self.room(attempt).await?;
        match (&self.folder, &is_kept) {
            (_, Err(error)) => {
                tracing::warn!(error = in_words(error), "a picture is fetched, although it may be kept already");
            }
            (Some(folder), Ok(true)) => match attempt.wait_if_long(folder.read(envelope, room)).await? {
                Ok(Ok(file)) => return Ok(Received::File(file.into())),
                Ok(Err(same)) => room = same,
                Err(error) => {
                    tracing::warn!(error = in_words(&error), "a picture that is kept is fetched again");
                    room = self.room(attempt).await?;
                }
            },
            _ => {}
        }
        let content = match self.fetch.picture(attempt, media_id).await? {
            Ok(content) => Bytes::from(content),
            Err(why) => return Ok(Received::Missing(why)),
        };
        let file = Arc::new(File::new(Format::of(&content), content, room));
        if is_kept.is_ok()
            && let Some(folder) = &self.folder
            && let Err(error) = attempt.wait_if_long(folder.keep(envelope, Arc::clone(&file))).await?
        {
            tracing::error!(error = in_words(&error), "a picture cannot be kept yet");
        }
        Ok(Received::File(file))
    }

    /// Keeps the push's picture, where pictures are kept and this picture is not kept yet.
    pub(crate) async fn keep(&self, attempt: &mut Attempt<'_>) -> Result<(), Outcome> {
        let envelope = attempt.envelope;
        let (Some(media_id), Some(folder)) = (media_id(envelope), &self.folder) else {
            return Ok(());
        };
        if attempt.wait_if_long(folder.has(envelope)).await?.map_err(|error| Outcome::retry(in_words(&error)))? {
            return Ok(());
        }
        let room = self.room(attempt).await?;
        // WeChat gives no picture, so the worker has nothing to keep.
        let Ok(content) = self.fetch.picture(attempt, media_id).await? else { return Ok(()) };
        let content = Bytes::from(content);
        let file = File::new(Format::of(&content), content, room);
        attempt.wait_if_long(folder.keep(envelope, file.into())).await?.map_err(|error| {
            let error = in_words(&error);
            tracing::error!(error, "a picture cannot be kept");
            Outcome::retry(error)
        })
    }

    async fn room(&self, attempt: &mut Attempt<'_>) -> Result<Room, Outcome> {
        // The cause is not the message, so the wait costs no try.
        let busy = || Outcome::Postpone {
            at_least: Duration::ZERO,
            error: "memory has no room for another picture now".into(),
        };
        attempt.wait(self.rooms.take(&attempt.account.appid)).await?.ok_or_else(busy)
    }
}

fn media_id(envelope: &Envelope) -> Option<&str> {
    match &envelope.push.content {
        Content::Image { media_id, .. } if !media_id.is_empty() => Some(media_id),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
