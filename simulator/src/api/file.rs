//! `POST /cgi-bin/media/upload` and `GET /cgi-bin/media/get`.

use std::path::Path;

use serde_json::json;

use super::errcode::ApiError;
use super::media::{IMAGE_KINDS, ImageKind};
use super::{Call, Wire, filled};
use crate::state::WeChat;

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
