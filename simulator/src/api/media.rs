//! `POST /cgi-bin/media/upload` and `GET /cgi-bin/media/get`.

use std::path::Path;

use serde_json::json;

use super::{Answer, Call};
use crate::errcode::ApiError;
use crate::media::ImageKind;
use crate::platform::Platform;

/// Mini programs may upload pictures only. The page on it gives 2 MB and 10 MB as the limit; the smaller one is taken.
pub(super) fn upload(platform: &mut Platform, appid: &str, call: &Call) -> Result<Answer, ApiError> {
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
    if upload.bytes.len() > platform.limits.image_bytes {
        return Err(ApiError::MEDIA_TOO_LARGE);
    }
    let extension = Path::new(filename).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !["png", "jpg", "jpeg", "gif"].contains(&extension.to_ascii_lowercase().as_str()) {
        return Err(ApiError::INVALID_FILE_TYPE);
    }
    let kind = ImageKind::of(&upload.bytes).ok_or(ApiError::INVALID_IMAGE)?;
    let created_at = platform.clock.now_s();
    let media_id = platform.media.add(appid, kind, upload.bytes.clone(), &platform.limits, created_at);
    Ok(Answer::Json(json!({ "type": "image", "media_id": media_id, "created_at": created_at })))
}

pub(super) fn get(platform: &mut Platform, appid: &str, call: &Call) -> Result<Answer, ApiError> {
    let media_id = call.parameter("media_id").ok_or(ApiError::MEDIA_ID_MISSING)?;
    let item = platform.media.get(appid, media_id, platform.clock.now_s()).ok_or(ApiError::INVALID_MEDIA_ID)?;
    Ok(Answer::File {
        content_type: item.kind.content_type(),
        filename: format!("{media_id}.{}", item.kind.extension()),
        bytes: item.bytes.clone(),
    })
}
