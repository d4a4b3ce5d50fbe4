//! The pictures that users send: fetched before WeChat forgets them, for a webhook or to be kept.

use std::sync::Arc;

use bytes::Bytes;
use kefu_shared::config;
use kefu_shared::wechat::push::Content;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::halt::Halt;
use crate::hold::Hold;
use crate::message::Message;
use crate::metric;
use crate::pauses::{Cause, PauseLength};
use crate::step::RefusedTokens;
use crate::wechat::Download;
use crate::wechat::errcode::Action;
use crate::wechat::failure::{Failure, Refusal};

mod folder;
mod format;

pub(crate) use folder::Folder;
pub(crate) use format::Format;

/// Where pictures are kept, and how much memory they may take.
pub(crate) struct ReceivedPictures {
    folder: Option<Folder>,
    max_bytes: usize,
    /// In KiB. A picture takes the most while it is fetched, then what it has.
    room: Arc<Semaphore>,
}

/// How many pictures of the largest size there is room for.
const AT_ONCE: usize = 4;

/// The picture of a push.
pub(crate) enum Received {
    /// It has none.
    None,
    /// It is here.
    File(File),
    /// WeChat does not give it, and will not; why, in a word.
    Missing(&'static str),
}

/// A picture that a user sent.
pub(crate) struct File {
    pub(crate) format: &'static Format,
    pub(crate) content: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl ReceivedPictures {
    pub(crate) fn new(config: &config::Media) -> Self {
        let max_bytes = usize::try_from(config.max_bytes).unwrap_or(usize::MAX);
        let room = Arc::new(Semaphore::new(kibibytes(max_bytes) as usize * AT_ONCE));
        Self { folder: config.folder.clone().map(Folder::new), max_bytes, room }
    }

    /// Whether the pictures that users send are kept.
    pub(crate) fn are_kept(&self) -> bool {
        self.folder.is_some()
    }

    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.room).acquire_many_owned(kibibytes(self.max_bytes)).await.ok()
    }
}

fn kibibytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

impl Message<'_> {
    /// The push's picture, kept where pictures are kept.
    pub(crate) async fn picture(&mut self, hold: &Hold) -> Result<Received, Halt> {
        let Content::Image { media_id, .. } = &self.envelope.push.content else { return Ok(Received::None) };
        if media_id.is_empty() {
            return Ok(Received::None);
        }
        let pictures = &self.handler.pictures_received;
        let room = self.slot.leave_for(hold.during(self.interrupt.or(pictures.room()))).await??;
        if let Some(folder) = &pictures.folder
            && let Some((format, content)) = folder.read(self.envelope).await
        {
            return Ok(Received::File(file(format, content, room)));
        }
        let content = match self.download(hold, media_id).await? {
            Ok(content) => Bytes::from(content),
            Err(why) => {
                metrics::counter!(metric::MEDIA_FETCHES, "outcome" => why).increment(1);
                return Ok(Received::Missing(why));
            }
        };
        metrics::counter!(metric::MEDIA_FETCHES, "outcome" => "ok").increment(1);
        let format = Format::of(&content);
        if let Some(folder) = &pictures.folder {
            hold.during(folder.keep(self.envelope, format, content.clone())).await?.map_err(|error| {
                tracing::error!(error, "a picture cannot be kept");
                Halt::later(error)
            })?;
        }
        Ok(Received::File(file(format, content, room)))
    }

    /// Keeps the push's picture, where pictures are kept and this one is not yet.
    pub(crate) async fn keep_picture(&mut self, hold: &Hold) -> Result<(), Halt> {
        match &self.handler.pictures_received.folder {
            Some(folder) if !folder.has(self.envelope).await => self.picture(hold).await.map(drop),
            _ => Ok(()),
        }
    }

    /// Fetches the picture, with all the tries that it takes. Within: why there is none, in a word.
    async fn download(&mut self, hold: &Hold, media_id: &str) -> Result<Result<Vec<u8>, &'static str>, Halt> {
        let (handler, appid) = (self.handler, self.account.appid.as_str());
        let max_bytes = handler.pictures_received.max_bytes;
        let mut tokens = RefusedTokens::default();
        loop {
            self.wait_while_paused(hold).await?;
            let token = match hold.during(self.interrupt.or(handler.tokens.get(appid))).await?? {
                Ok(token) => token,
                Err(failure) => {
                    self.outlast(hold, failure).await?;
                    continue;
                }
            };
            let downloaded = hold.during(self.interrupt.or(handler.wechat.download(&token, media_id, max_bytes)));
            match downloaded.await?? {
                Ok(Download::File(content)) => return Ok(Ok(content)),
                Ok(Download::TooLarge) => {
                    tracing::warn!(max_bytes, "a user's picture is too large and left where it is");
                    return Ok(Err("too_large"));
                }
                Err(Failure::Refused(refusal)) => match refusal.action {
                    Action::RenewToken => {
                        let renewal = hold.during(handler.tokens.refuse(appid, &token)).await?;
                        self.wait_for_token(hold, &refusal, Some(renewal), &mut tokens).await?;
                    }
                    Action::Retry | Action::Slow { .. } => self.outlast(hold, Failure::Refused(refusal)).await?,
                    Action::ReuploadMedia => {
                        tracing::warn!(error = %refusal, "a user's picture is gone: it was not fetched within 3 days");
                        return Ok(Err("expired"));
                    }
                    _ => {
                        tracing::error!(error = %refusal, "WeChat does not give a user's picture");
                        return Ok(Err("refused"));
                    }
                },
                Err(failure) => {
                    metrics::counter!(metric::MEDIA_FETCHES, "outcome" => "failed").increment(1);
                    self.outlast(hold, failure).await?;
                }
            }
        }
    }

    /// Waits for what passes; else says what the failure means for the message.
    async fn outlast(&mut self, hold: &Hold, failure: Failure) -> Result<(), Halt> {
        match failure {
            Failure::Store(error) => hold.during(self.handler.outage.sit_out(&self.interrupt, &error)).await?,
            Failure::Refused(refusal @ Refusal { action: Action::Alert { pause }, .. }) => {
                Err(self.pause_account(Cause::Operator, PauseLength::Fixed(pause), refusal.to_string()))
            }
            Failure::Refused(refusal @ Refusal { action: Action::Slow { pause }, .. }) => {
                self.pause_account(Cause::Rate, PauseLength::Fixed(pause), refusal.to_string());
                Ok(())
            }
            failure => self.wait_after(hold, &failure, std::time::Duration::ZERO).await,
        }
    }
}

fn file(format: &'static Format, content: Bytes, room: Option<OwnedSemaphorePermit>) -> File {
    let mut room = room;
    if let Some(room) = &mut room {
        let spare = room.num_permits().saturating_sub(kibibytes(content.len()) as usize);
        drop(room.split(spare));
    }
    File { format, content, _room: room }
}
