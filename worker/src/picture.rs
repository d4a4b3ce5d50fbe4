//! The pictures that users send: fetched before WeChat forgets them, for a webhook or to be kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kefu_program::config::Config;
use kefu_wechat::push::Content;

use crate::handle::Message;
use crate::lease::Lease;
use crate::outcome::Halt;
use crate::send::pauses::Pauses;

mod fetch;
mod folder;
mod format;
mod room;

pub(crate) use folder::Folder;
pub(crate) use format::Format;
use room::{Room, Rooms};

/// Where pictures are kept, how much memory they may take, and when none are fetched.
pub(crate) struct ReceivedPictures {
    folder: Option<Folder>,
    max_bytes: usize,
    rooms: Rooms,
    /// Of fetches alone.
    pub(crate) pauses: Pauses,
}

/// The picture of a push.
pub(crate) enum Received {
    /// It has none.
    None,
    /// It is here.
    File(Arc<File>),
    /// WeChat does not give it, and will not: one of [`why`].
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

impl ReceivedPictures {
    pub(crate) fn new(config: &Config) -> Self {
        let max_bytes = usize::try_from(config.received_pictures.max_bytes).unwrap_or(usize::MAX);
        let folder = config.received_pictures.folder.clone().map(Folder::new);
        Self { folder, max_bytes, rooms: Rooms::new(&config.accounts, max_bytes), pauses: Pauses::of_fetches() }
    }

    /// Whether the pictures that users send are kept.
    pub(crate) fn are_kept(&self) -> bool {
        self.folder.is_some()
    }
}

impl<'a> Message<'a> {
    /// The push's picture. It is kept as well, where pictures are kept; if that fails, [`Message::keep_picture`] tries it
    /// again, and what is done with the picture does not wait for it.
    pub(crate) async fn picture(&mut self, hold: &Lease) -> Result<Received, Halt> {
        let Some(media_id) = self.media_id() else { return Ok(Received::None) };
        // Asked before there is room: a disk that hangs then holds none of it.
        let is_kept = match &self.handler.received_pictures.folder {
            Some(folder) => self.on_disk(hold, folder.has(self.envelope)).await?,
            None => Ok(false),
        };
        let mut room = self.room(hold).await?;
        match (&self.handler.received_pictures.folder, &is_kept) {
            (_, Err(error)) => tracing::warn!(error, "whether a picture is kept is not known: it is fetched"),
            (Some(folder), Ok(true)) => match self.on_disk(hold, folder.read(self.envelope, room)).await? {
                Ok(Ok(file)) => return Ok(Received::File(file.into())),
                Ok(Err(same)) => room = same,
                Err(error) => {
                    tracing::warn!(error, "a picture that is kept is fetched again");
                    room = self.room(hold).await?;
                }
            },
            _ => {}
        }
        let content = match self.fetch(hold, media_id).await? {
            Ok(content) => Bytes::from(content),
            Err(why) => return Ok(Received::Missing(why)),
        };
        let file = Arc::new(File::new(Format::of(&content), content, room));
        if is_kept.is_ok()
            && let Err(error) = self.keep(hold, Arc::clone(&file)).await?
        {
            tracing::error!(error, "a picture cannot be kept yet");
        }
        Ok(Received::File(file))
    }

    /// Keeps the push's picture, where pictures are kept and this one is not yet.
    pub(crate) async fn keep_picture(&mut self, hold: &Lease) -> Result<(), Halt> {
        let (Some(media_id), Some(folder)) = (self.media_id(), &self.handler.received_pictures.folder) else {
            return Ok(());
        };
        if self.on_disk(hold, folder.has(self.envelope)).await?.map_err(Halt::later)? {
            return Ok(());
        }
        let room = self.room(hold).await?;
        // Without one there is none to keep.
        let Ok(content) = self.fetch(hold, media_id).await? else { return Ok(()) };
        let content = Bytes::from(content);
        let file = File::new(Format::of(&content), content, room);
        self.keep(hold, file.into()).await?.map_err(|error| {
            tracing::error!(error, "a picture cannot be kept");
            Halt::later(error)
        })
    }

    fn media_id(&self) -> Option<&'a str> {
        match &self.envelope.push.content {
            Content::Image { media_id, .. } if !media_id.is_empty() => Some(media_id),
            _ => None,
        }
    }

    async fn room(&mut self, hold: &Lease) -> Result<Room, Halt> {
        let room = self.handler.received_pictures.rooms.take(&self.account.appid);
        // The message is not to blame.
        let busy = || Halt::Postponed { at_least: Duration::ZERO, error: "there are too many pictures at once".into() };
        hold.during(self.interrupt.or(self.slot.leave_for(room))).await??.ok_or_else(busy)
    }

    /// Within: why it is not kept, in words.
    async fn keep(&mut self, hold: &Lease, picture: Arc<File>) -> Result<Result<(), String>, Halt> {
        match &self.handler.received_pictures.folder {
            Some(folder) => self.on_disk(hold, folder.keep(self.envelope, picture)).await,
            None => Ok(Ok(())),
        }
    }

    /// Waits for what may hang, then without the slot that other messages need.
    async fn on_disk<T>(&mut self, hold: &Lease, work: impl Future<Output = T>) -> Result<T, Halt> {
        hold.during(self.interrupt.or(self.slot.leave_if_long(work))).await?
    }
}

#[cfg(test)]
mod tests;
