//! `GET /cgi-bin/token` and `POST /cgi-bin/stable_token`.

use serde_json::{Map, Value, json};

use super::{Answer, Call};
use crate::errcode::ApiError;
use crate::platform::Platform;
use crate::tokens::Granted;

pub(super) fn plain(platform: &mut Platform, call: &Call, chars: usize) -> Result<Answer, ApiError> {
    let parameters = ["grant_type", "appid", "secret"].map(|name| call.parameter(name));
    let appid = authenticate(platform, parameters, ApiError::INVALID_CREDENTIAL)?;
    let now_ms = platform.clock.now_ms();
    Ok(granted(platform.tokens.plain(&appid, &platform.limits, chars, now_ms)))
}

pub(super) fn stable(platform: &mut Platform, call: &Call, chars: usize) -> Result<Answer, ApiError> {
    let object: &Map<String, Value> = call.object()?;
    let parameters = ["grant_type", "appid", "secret"].map(|name| super::filled(object, name));
    let appid = authenticate(platform, parameters, ApiError::INVALID_SECRET)?;
    let force = match object.get("force_refresh") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(force)) => *force,
        Some(_) => return Err(ApiError::FORMAT),
    };
    let now_ms = platform.clock.now_ms();
    platform.tokens.stable(&appid, force, &platform.limits, chars, now_ms).map(granted)
}

fn authenticate(
    platform: &Platform,
    [grant_type, appid, secret]: [Option<&str>; 3],
    wrong_secret: ApiError,
) -> Result<String, ApiError> {
    if grant_type != Some("client_credential") {
        return Err(ApiError::INVALID_GRANT_TYPE);
    }
    let appid = appid.ok_or(ApiError::APPID_MISSING)?;
    let secret = secret.ok_or(ApiError::SECRET_MISSING)?;
    let account = platform.accounts.get(appid).ok_or(ApiError::INVALID_APPID)?;
    match account.secret == secret {
        true => Ok(account.appid.clone()),
        false => Err(wrong_secret),
    }
}

fn granted(granted: Granted) -> Answer {
    Answer::Json(json!({ "access_token": granted.token, "expires_in": granted.expires_in_s }))
}
