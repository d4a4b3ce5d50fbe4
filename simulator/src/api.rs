//! The API side: what `api.weixin.qq.com` does with a call. Synchronous and without network, so that one lock makes a
//! call, its fault and its entry in the journal one step.

use actix_web::web::Bytes;
use serde_json::{Map, Value};

use crate::errcode::{self, ApiError};
use crate::faults::{FaultKind, FaultRequest};
use crate::journal::{ApiCall, Event};
use crate::platform::Platform;
use crate::tokens::{LONG_CHARS, USUAL_CHARS};

mod call;

mod callback;
mod media;
mod send;
mod token;
mod typing;
mod wire;

pub(crate) use call::Call;
pub(crate) use wire::{Cut, Wire};

/// The paths that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Token,
    StableToken,
    CustomSend,
    BusinessTyping,
    CustomTyping,
    MediaUpload,
    MediaGet,
    CallbackCheck,
}

impl Route {
    pub(crate) const ALL: [Self; 8] = [
        Self::Token,
        Self::StableToken,
        Self::CustomSend,
        Self::BusinessTyping,
        Self::CustomTyping,
        Self::MediaUpload,
        Self::MediaGet,
        Self::CallbackCheck,
    ];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Token => "/cgi-bin/token",
            Self::StableToken => "/cgi-bin/stable_token",
            Self::CustomSend => "/cgi-bin/message/custom/send",
            Self::BusinessTyping => "/cgi-bin/message/custom/business/typing",
            Self::CustomTyping => "/cgi-bin/message/custom/typing",
            Self::MediaUpload => "/cgi-bin/media/upload",
            Self::MediaGet => "/cgi-bin/media/get",
            Self::CallbackCheck => "/cgi-bin/callback/check",
        }
    }

    fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path() == path)
    }

    fn check_method(self, method: &str) -> Result<(), ApiError> {
        match (self, method) {
            (Self::Token | Self::MediaGet, "GET") => Ok(()),
            (Self::Token | Self::MediaGet, _) => Err(ApiError::REQUIRES_GET),
            (_, "POST") => Ok(()),
            _ => Err(ApiError::REQUIRES_POST),
        }
    }
}

/// A good answer.
pub(crate) enum Answer {
    Json(Value),
    File { content_type: &'static str, filename: String, bytes: Bytes },
}

/// Answers a call, with the fault that waits for it, and writes it down.
pub(crate) fn answer(platform: &mut Platform, call: &Call) -> Wire {
    let bearer = call.access_token().and_then(|token| platform.tokens.bearer(token));
    let account = match &bearer {
        Some(bearer) => Some(bearer.appid.clone()),
        None => call.claimed_appid().filter(|appid| platform.accounts.contains_key(*appid)).map(str::to_owned),
    };
    let user = call.user().map(str::to_owned);
    let fault = platform.faults.take(&call.path, account.as_deref(), user.as_deref());

    let takes_effect = fault.as_ref().is_none_or(FaultRequest::takes_effect);
    let chars = match &fault {
        Some(fault) if fault.kind == FaultKind::LongToken => LONG_CHARS,
        _ => USUAL_CHARS,
    };
    let result = match takes_effect {
        true => act(platform, call, chars),
        // What it would have been does not matter: the fault says what is answered.
        false => Ok(ok()),
    };
    let is_send = Route::of(&call.path) == Some(Route::CustomSend);
    let delivered = is_send.then_some(takes_effect && result.is_ok());
    let now_s = platform.clock.now_s();
    let wire = Wire::new(result, now_s);
    let wire = match &fault {
        Some(fault) => wire.with_fault(fault, now_s),
        None => wire,
    };
    let entry = ApiCall {
        method: call.method.clone(),
        path: call.path.clone(),
        request: call.for_journal(),
        token_serial: bearer.map(|bearer| bearer.serial),
        status: (wire.cut != Cut::Before).then_some(wire.status),
        errcode: wire.errcode,
        errmsg: wire.errmsg.clone(),
        delivered,
        fault: fault.map(|fault| fault.kind.name().to_owned()),
    };
    platform.record(account, user, Event::ApiCall(entry));
    wire
}

fn act(platform: &mut Platform, call: &Call, token_chars: usize) -> Result<Answer, ApiError> {
    let route = Route::of(&call.path).ok_or(ApiError::INVALID_URL)?;
    route.check_method(&call.method)?;
    match route {
        Route::Token => return token::plain(platform, call, token_chars),
        Route::StableToken => return token::stable(platform, call, token_chars),
        _ => {}
    }
    let access_token = call.access_token().ok_or(ApiError::TOKEN_MISSING)?;
    let appid = platform.tokens.check(access_token, platform.clock.now_ms())?.appid;
    match route {
        Route::CustomSend => send::send(platform, &appid, call),
        Route::MediaUpload => media::upload(platform, &appid, call),
        Route::MediaGet => media::get(platform, &appid, call),
        Route::CallbackCheck => callback::check(platform, &appid, call),
        _ => typing::typing(platform, &appid, call),
    }
}

/// A text field that is there and not empty.
fn filled<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn ok() -> Answer {
    Answer::Json(errcode::json_ok())
}
