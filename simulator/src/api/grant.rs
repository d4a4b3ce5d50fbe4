//! `GET /cgi-bin/token` and `POST /cgi-bin/stable_token`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-access-token/api_getstableaccesstoken.html>.

use serde_json::{Value, json};

use super::errcode::ApiError;
use super::token::Granted;
use super::{Call, Wire, filled};
use crate::state::WeChat;

pub(super) fn plain(wechat: &mut WeChat, call: &Call, chars: usize) -> Result<Wire, ApiError> {
    let parameters = ["grant_type", "appid", "secret"].map(|name| filled(&call.query, name));
    let appid = authenticate(wechat, parameters, ApiError::INVALID_CREDENTIAL)?;
    let now_ms = wechat.clock.now_ms();
    Ok(granted(wechat.tokens.plain(&appid, &wechat.limits, chars, now_ms)))
}

pub(super) fn stable(wechat: &mut WeChat, call: &Call, chars: usize) -> Result<Wire, ApiError> {
    let object = call.object()?;
    let parameters = ["grant_type", "appid", "secret"].map(|name| filled(object, name));
    let appid = authenticate(wechat, parameters, ApiError::INVALID_SECRET)?;
    let force = match object.get("force_refresh") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(force)) => *force,
        Some(_) => return Err(ApiError::FORMAT),
    };
    let now_ms = wechat.clock.now_ms();
    wechat.tokens.stable(&appid, force, &wechat.limits, chars, now_ms).map(granted)
}

fn authenticate(
    wechat: &WeChat,
    [grant_type, appid, secret]: [Option<&str>; 3],
    wrong_secret: ApiError,
) -> Result<String, ApiError> {
    if grant_type != Some("client_credential") {
        return Err(ApiError::INVALID_GRANT_TYPE);
    }
    let appid = appid.ok_or(ApiError::APPID_MISSING)?;
    let secret = secret.ok_or(ApiError::SECRET_MISSING)?;
    let account = wechat.accounts.get(appid).ok_or(ApiError::INVALID_APPID)?;
    match account.secret == secret {
        true => Ok(account.appid.clone()),
        false => Err(wrong_secret),
    }
}

fn granted(granted: Granted) -> Wire {
    Wire::json(json!({ "access_token": granted.token, "expires_in": granted.expires_in_s }))
}
