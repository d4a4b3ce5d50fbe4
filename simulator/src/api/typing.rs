//! `POST /cgi-bin/message/custom/business/typing`, and the older `/cgi-bin/message/custom/typing`.

use super::{Answer, Call, filled, ok};
use crate::errcode::ApiError;
use crate::platform::Platform;

pub(super) fn typing(platform: &mut Platform, appid: &str, call: &Call) -> Result<Answer, ApiError> {
    let object = call.object()?;
    let openid = filled(object, "touser").ok_or(ApiError::INVALID_OPENID)?;
    let now_ms = platform.clock.now_ms();
    let user = platform.users.addressee(appid, openid)?;
    match filled(object, "command") {
        Some("Typing") => user.show_typing(now_ms)?,
        Some("CancelTyping") => user.hide_typing(),
        _ => return Err(ApiError::TYPING_COMMAND),
    }
    Ok(ok())
}
