//! `POST /cgi-bin/media/upload`, `GET /cgi-bin/media/get`, and the temporary media: uploads, and pictures of simulated
//! users.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use actix_web::web::Bytes;
use serde_json::json;

use super::errcode::ApiError;
use super::token::random_text;
use super::{Answer, Call};
use crate::config::Limits;
use crate::state::WeChat;

/// The most bytes of all media together. Beyond this limit the simulator forgets the oldest media first.
const MAX_BYTES: usize = 256 * 1_024 * 1_024;
const ID_CHARS: usize = 64;

/// Mini programs may upload pictures only. WeChat's page about uploads gives both 2 MB and 10 MB as the limit; the
/// simulator uses the smaller limit.
pub(super) fn upload(wechat: &mut WeChat, appid: &str, call: &Call) -> Result<Answer, ApiError> {
    if call.parameter("type") != Some("image") {
        return Err(ApiError::INVALID_MEDIA_TYPE);
    }
    let upload = call.upload.as_ref().ok_or(ApiError::MEDIA_DATA_MISSING)?;
    // WeChat does not find a part whose filename is missing or not ASCII.
    let filename = upload.filename.as_deref().filter(|filename| !filename.is_empty() && filename.is_ascii());
    let filename = filename.ok_or(ApiError::MEDIA_DATA_MISSING)?;
    if upload.bytes.is_empty() {
        return Err(ApiError::EMPTY_MEDIA);
    }
    if upload.bytes.len() > wechat.limits.image_bytes {
        return Err(ApiError::MEDIA_TOO_LARGE);
    }
    let extension = Path::new(filename).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !["png", "jpg", "jpeg", "gif"].contains(&extension.to_ascii_lowercase().as_str()) {
        return Err(ApiError::INVALID_FILE_TYPE);
    }
    let kind = ImageKind::of(&upload.bytes).ok_or(ApiError::INVALID_IMAGE)?;
    let created_at = wechat.clock.now_s();
    let media_id = wechat.media.add(appid, kind, upload.bytes.clone(), &wechat.limits, created_at);
    Ok(Answer::Json(json!({ "type": "image", "media_id": media_id, "created_at": created_at })))
}

pub(super) fn get(wechat: &mut WeChat, appid: &str, call: &Call) -> Result<Answer, ApiError> {
    let media_id = call.parameter("media_id").ok_or(ApiError::MEDIA_ID_MISSING)?;
    let item = wechat.media.get(appid, media_id, wechat.clock.now_s()).ok_or(ApiError::INVALID_MEDIA_ID)?;
    Ok(Answer::File {
        content_type: item.kind.content_type(),
        filename: format!("{media_id}.{}", item.kind.extension()),
        bytes: item.bytes.clone(),
    })
}

/// All media that the simulator keeps.
#[derive(Default)]
pub(crate) struct Media {
    items: HashMap<String, Item>,
    order: VecDeque<String>,
    bytes: usize,
}

/// One file.
#[derive(Clone)]
pub(crate) struct Item {
    appid: String,
    pub(crate) kind: ImageKind,
    pub(crate) bytes: Bytes,
    expires_s: i64,
}

/// The picture formats that WeChat accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageKind {
    Png,
    Jpeg,
    Gif,
}

impl ImageKind {
    /// Recognizes the format by the first bytes.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
        }
    }
}

impl Media {
    /// Keeps a file. Returns its media_id.
    pub(crate) fn add(&mut self, appid: &str, kind: ImageKind, bytes: Bytes, limits: &Limits, now_s: i64) -> String {
        let media_id = random_text(ID_CHARS);
        self.bytes += bytes.len();
        let item = Item {
            appid: appid.to_owned(),
            kind,
            bytes,
            expires_s: now_s.saturating_add_unsigned(limits.media_lifetime_s),
        };
        self.items.insert(media_id.clone(), item);
        self.order.push_back(media_id.clone());
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.items.remove(&oldest).map_or(0, |item| item.bytes.len());
        }
        media_id
    }

    /// An account's file that has not expired.
    pub(crate) fn get(&self, appid: &str, media_id: &str, now_s: i64) -> Option<&Item> {
        self.items.get(media_id).filter(|item| item.appid == appid && now_s < item.expires_s)
    }

    /// A file of any account, for the chat page.
    pub(crate) fn peek(&self, media_id: &str) -> Option<&Item> {
        self.items.get(media_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_account_and_ends_after_three_days() {
        let mut media = Media::default();
        let id = media.add("wx1", ImageKind::Png, Bytes::from_static(b"x"), &Limits::default(), 0);
        assert!(media.get("wx1", &id, 3 * 86_400 - 1).is_some());
        assert!(media.get("wx1", &id, 3 * 86_400).is_none());
        assert!(media.get("wx2", &id, 0).is_none());
    }

    #[test]
    fn the_oldest_files_make_room() {
        let mut media = Media::default();
        let half = Bytes::from(vec![0; MAX_BYTES / 2]);
        let ids = [(); 3].map(|()| media.add("wx1", ImageKind::Png, half.clone(), &Limits::default(), 0));
        let kept = ids.map(|id| media.peek(&id).is_some());
        assert_eq!(kept, [false, true, true]);
    }
}
