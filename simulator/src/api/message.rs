//! `POST /cgi-bin/message/custom/send`, `/cgi-bin/message/custom/business/typing` and the older
//! `/cgi-bin/message/custom/typing`.
//!
//! The four message types of mini programs, with fields as in
//! <https://developers.weixin.qq.com/miniprogram/dev/api-backend/open-api/customer-message/customerServiceMessage.send.html>.

use serde_json::{Map, Value};

use super::errcode::ApiError;
use super::{Call, Wire, filled};
use crate::state::WeChat;

pub(super) fn send(wechat: &mut WeChat, appid: &str, call: &Call) -> Result<Wire, ApiError> {
    let object = call.object()?;
    let user = filled(object, "touser").ok_or(ApiError::INVALID_OPENID)?;
    let kind = filled(object, "msgtype").ok_or(ApiError::INVALID_MESSAGE_TYPE)?;
    let payload = || object.get(kind).and_then(Value::as_object);
    match kind {
        "text" => check_text(wechat, payload().ok_or(ApiError::EMPTY_TEXT)?)?,
        "image" => check_media(wechat, appid, payload().ok_or(ApiError::MEDIA_ID_MISSING)?, "media_id")?,
        "link" => check_link(payload().ok_or(ApiError::INVALID_ARGUMENTS)?)?,
        "miniprogrampage" => check_card(wechat, appid, payload().ok_or(ApiError::INVALID_ARGUMENTS)?)?,
        // A transfer belongs in the answer to a push. The API answers as if the receiver were wrong.
        "transfer_customer_service" => return Err(ApiError::INVALID_OPENID),
        _ => return Err(ApiError::INVALID_MESSAGE_TYPE),
    }
    check_speaker(object)?;
    let now_ms = wechat.clock.now_ms();
    wechat.users.addressee(appid, user)?.receive(now_ms)?;
    Ok(Wire::ok())
}

/// Checks the fields that say who speaks, and for which sub-merchant.
fn check_speaker(object: &Map<String, Value>) -> Result<(), ApiError> {
    let account = object.get("customservice").map(|speaker| &speaker["kf_account"]);
    let mark = object.get("aimsgcontext").map(|context| &context["is_ai_msg"]);
    let business = object.get("businessid");
    let fine = account.is_none_or(|account| account.as_str().is_some_and(|account| !account.is_empty()))
        && mark.is_none_or(|mark| matches!(mark.as_u64(), Some(0 | 1)))
        && business.is_none_or(Value::is_u64);
    if fine { Ok(()) } else { Err(ApiError::INVALID_ARGUMENTS) }
}

fn check_text(wechat: &WeChat, text: &Map<String, Value>) -> Result<(), ApiError> {
    let content = filled(text, "content").ok_or(ApiError::EMPTY_TEXT)?;
    match content.len() > wechat.limits.text_bytes {
        true => Err(ApiError::TEXT_TOO_LONG),
        false => Ok(()),
    }
}

fn check_media(wechat: &WeChat, appid: &str, holder: &Map<String, Value>, name: &str) -> Result<(), ApiError> {
    let media_id = filled(holder, name).ok_or(ApiError::MEDIA_ID_MISSING)?;
    match wechat.media.get(appid, media_id, wechat.clock.now_s()) {
        Some(_) => Ok(()),
        None => Err(ApiError::INVALID_MEDIA_ID),
    }
}

fn check_link(link: &Map<String, Value>) -> Result<(), ApiError> {
    for name in ["title", "description"] {
        filled(link, name).ok_or(ApiError::INVALID_ARGUMENTS)?;
    }
    for name in ["url", "thumb_url"] {
        let url = filled(link, name).ok_or(ApiError::INVALID_ARGUMENTS)?;
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(ApiError::INVALID_ARGUMENTS);
        }
    }
    Ok(())
}

fn check_card(wechat: &WeChat, appid: &str, card: &Map<String, Value>) -> Result<(), ApiError> {
    for name in ["title", "appid", "pagepath"] {
        filled(card, name).ok_or(ApiError::INVALID_ARGUMENTS)?;
    }
    check_media(wechat, appid, card, "thumb_media_id")
}

pub(super) fn typing(wechat: &mut WeChat, appid: &str, call: &Call) -> Result<Wire, ApiError> {
    let object = call.object()?;
    let openid = filled(object, "touser").ok_or(ApiError::INVALID_OPENID)?;
    let now_ms = wechat.clock.now_ms();
    let user = wechat.users.addressee(appid, openid)?;
    match filled(object, "command") {
        Some("Typing") => user.show_typing(now_ms)?,
        Some("CancelTyping") => user.hide_typing(),
        _ => return Err(ApiError::TYPING_COMMAND),
    }
    Ok(Wire::ok())
}
