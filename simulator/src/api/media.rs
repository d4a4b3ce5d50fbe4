//! `POST /cgi-bin/media/upload`, `GET /cgi-bin/media/get`, and the temporary media: uploads, and pictures of simulated
//! users.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use actix_web::web::Bytes;
use serde_json::json;

use super::errcode::ApiError;
use super::token::random_text;
use super::{Call, Wire, filled};
use crate::config::Limits;
use crate::state::WeChat;

/// The most bytes of all media together. Beyond this limit the simulator forgets the oldest media first.
const MAX_BYTES: usize = 256 * 1_024 * 1_024;
const ID_CHARS: usize = 64;

/// Mini programs may upload pictures only. WeChat's page about uploads gives both 2 MB and 10 MB as the limit; the
/// simulator uses the smaller limit.
pub(super) fn upload(wechat: &mut WeChat, appid: &str, call: &Call) -> Result<Wire, ApiError> {
    if filled(&call.query, "type") != Some("image") {
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
    let kind = IMAGE_KINDS.into_iter().find(|kind| upload.bytes.starts_with(kind.first_bytes));
    let kind = kind.ok_or(ApiError::INVALID_IMAGE)?;
    let created_at = wechat.clock.now_s();
    let media_id = wechat.media.add(appid, kind, upload.bytes.clone(), &wechat.limits, created_at);
    Ok(Wire::json(json!({ "type": "image", "media_id": media_id, "created_at": created_at })))
}

pub(super) fn get(wechat: &mut WeChat, appid: &str, call: &Call) -> Result<Wire, ApiError> {
    let media_id = filled(&call.query, "media_id").ok_or(ApiError::MEDIA_ID_MISSING)?;
    let item = wechat.media.get(appid, media_id, wechat.clock.now_s()).ok_or(ApiError::INVALID_MEDIA_ID)?;
    let ImageKind { content_type, extension, .. } = *item.kind;
    Ok(Wire::file(content_type, format!("{media_id}.{extension}"), item.bytes.clone()))
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
    pub(crate) kind: &'static ImageKind,
    pub(crate) bytes: Bytes,
    expires_s: i64,
}

/// A picture format that WeChat accepts.
#[derive(Debug)]
pub(crate) struct ImageKind {
    first_bytes: &'static [u8],
    pub(crate) content_type: &'static str,
    extension: &'static str,
}

pub(crate) const PNG: &ImageKind =
    &ImageKind { first_bytes: b"\x89PNG\r\n\x1a\n", content_type: "image/png", extension: "png" };
const IMAGE_KINDS: [&ImageKind; 4] = [
    PNG,
    &ImageKind { first_bytes: b"\xff\xd8\xff", content_type: "image/jpeg", extension: "jpg" },
    &ImageKind { first_bytes: b"GIF87a", content_type: "image/gif", extension: "gif" },
    &ImageKind { first_bytes: b"GIF89a", content_type: "image/gif", extension: "gif" },
];

impl Media {
    /// Keeps a file. Returns its media_id.
    pub(crate) fn add(
        &mut self,
        appid: &str,
        kind: &'static ImageKind,
        bytes: Bytes,
        limits: &Limits,
        now_s: i64,
    ) -> String {
        let media_id = random_text(ID_CHARS);
        self.bytes += bytes.len();
        let expires_s = now_s.saturating_add_unsigned(limits.media_lifetime_s);
        let item = Item { appid: appid.to_owned(), kind, bytes, expires_s };
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
        let id = media.add("wx1", PNG, Bytes::from_static(b"x"), &Limits::default(), 0);
        assert!(media.get("wx1", &id, 3 * 86_400 - 1).is_some());
        assert!(media.get("wx1", &id, 3 * 86_400).is_none());
        assert!(media.get("wx2", &id, 0).is_none());
    }

    #[test]
    fn the_oldest_files_make_room() {
        let mut media = Media::default();
        let half = Bytes::from(vec![0; MAX_BYTES / 2]);
        let ids = [(); 3].map(|()| media.add("wx1", PNG, half.clone(), &Limits::default(), 0));
        let kept = ids.map(|id| media.peek(&id).is_some());
        assert_eq!(kept, [false, true, true]);
    }
}
