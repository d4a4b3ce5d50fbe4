//! The pictures that users send: fetched before WeChat forgets them, for a webhook or to be kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kefu_messages::envelope::Envelope;
use kefu_program::config::Config;
use kefu_wechat::push::Content;

use crate::attempt::Attempt;
use crate::outcome::Outcome;
use crate::send::pauses::Pauses;
use crate::wechat::WeChat;
use crate::wechat::token::AccessTokens;

mod fetch;
mod folder;
mod format;
mod room;

use fetch::Fetch;
pub(crate) use folder::Folder;
pub(crate) use format::Format;
use room::{Room, Rooms};

/// Fetches the pictures that users send, and keeps them where that is configured.
pub(crate) struct Pictures {
    folder: Option<Folder>,
    /// The memory that pictures may take.
    rooms: Rooms,
    pub(crate) fetch: Fetch,
}

/// The picture of a push.
pub(crate) enum Received {
    /// The push has none.
    None,
    /// The picture is here.
    File(Arc<File>),
    /// WeChat does not give the picture, and will not: one of [`why`].
    Missing(&'static str),
}

/// Why there is no picture: for webhooks, and the outcome of the fetch in metrics.
mod why {
    pub(super) const EXPIRED: &str = "expired";
    pub(super) const TOO_LARGE: &str = "too_large";
    pub(super) const REFUSED: &str = "refused";
}

/// A picture that a user sent, in memory, with the room that it takes there.
pub(crate) struct File {
    pub(crate) format: &'static Format,
    pub(crate) content: Bytes,
    _room: Room,
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

    /// Whether the push has a picture that is to be kept.
    pub(crate) fn keeps_one_of(&self, envelope: &Envelope) -> bool {
        self.folder.is_some() && matches!(envelope.push.content, Content::Image { .. })
    }

    /// The push's picture. It is kept as well, where pictures are kept; if that fails, [`Pictures::keep`] tries it again,
    /// and what is done with the picture does not wait for it.
    pub(crate) async fn received(&self, attempt: &mut Attempt<'_>) -> Result<Received, Outcome> {
        let envelope = attempt.envelope;
        let Some(media_id) = media_id(envelope) else { return Ok(Received::None) };
        // Asked before there is room: a disk that hangs then holds none of it.
        let is_kept = match &self.folder {
            Some(folder) => attempt.wait_if_long(folder.has(envelope)).await?,
            None => Ok(false),
        };
        let mut room = self.room(attempt).await?;
        match (&self.folder, &is_kept) {
            (_, Err(error)) => tracing::warn!(error, "whether a picture is kept is not known: it is fetched"),
            (Some(folder), Ok(true)) => match attempt.wait_if_long(folder.read(envelope, room)).await? {
                Ok(Ok(file)) => return Ok(Received::File(file.into())),
                Ok(Err(same)) => room = same,
                Err(error) => {
                    tracing::warn!(error, "a picture that is kept is fetched again");
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
            tracing::error!(error, "a picture cannot be kept yet");
        }
        Ok(Received::File(file))
    }

    /// Keeps the push's picture, where pictures are kept and this one is not yet.
    pub(crate) async fn keep(&self, attempt: &mut Attempt<'_>) -> Result<(), Outcome> {
        let envelope = attempt.envelope;
        let (Some(media_id), Some(folder)) = (media_id(envelope), &self.folder) else {
            return Ok(());
        };
        if attempt.wait_if_long(folder.has(envelope)).await?.map_err(Outcome::retry)? {
            return Ok(());
        }
        let room = self.room(attempt).await?;
        // Without a picture there is nothing to keep.
        let Ok(content) = self.fetch.picture(attempt, media_id).await? else { return Ok(()) };
        let content = Bytes::from(content);
        let file = File::new(Format::of(&content), content, room);
        attempt.wait_if_long(folder.keep(envelope, file.into())).await?.map_err(|error| {
            tracing::error!(error, "a picture cannot be kept");
            Outcome::retry(error)
        })
    }

    async fn room(&self, attempt: &mut Attempt<'_>) -> Result<Room, Outcome> {
        // The message is not to blame.
        let busy =
            || Outcome::Postpone { at_least: Duration::ZERO, error: "there are too many pictures at once".into() };
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
