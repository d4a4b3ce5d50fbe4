//! The API side: how `api.weixin.qq.com` answers a call. The code is synchronous and uses no network, so that one lock
//! makes a call, its fault and its entry in the journal one step.

use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::header::Date;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use crate::faults::{FaultKind, FaultRequest};
use crate::journal::{ApiCall, Event};
use crate::state::{State, WeChat};

mod call;
mod callback;
mod errcode;
pub(crate) mod media;
mod message;
pub(crate) mod token;
pub(crate) mod user;
mod wire;

use call::Call;
use errcode::ApiError;
use wire::{Cut, Wire};

const TOKEN: &str = "/cgi-bin/token";
const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
const SEND: &str = "/cgi-bin/message/custom/send";
const MEDIA_UPLOAD: &str = "/cgi-bin/media/upload";
const MEDIA_GET: &str = "/cgi-bin/media/get";
const CALLBACK_CHECK: &str = "/cgi-bin/callback/check";

/// The simulated paths, and their methods.
pub(crate) const ROUTES: [(&str, &str); 8] = [
    (TOKEN, "GET"),
    (STABLE_TOKEN, "POST"),
    (SEND, "POST"),
    ("/cgi-bin/message/custom/business/typing", "POST"),
    ("/cgi-bin/message/custom/typing", "POST"),
    (MEDIA_UPLOAD, "POST"),
    (MEDIA_GET, "GET"),
    (CALLBACK_CHECK, "POST"),
];

/// The answer to a successful call.
enum Answer {
    Json(Value),
    File { content_type: &'static str, filename: String, bytes: Bytes },
}

/// Serves every request outside the simulator's own routes.
pub(crate) async fn serve(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let call = Call::read(&request, body).await;
    let date = date(&state);
    let wire = answer(&mut state.lock(), &call);
    if !wire.delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(wire.delay) => {}
            () = state.stopping.cancelled() => {}
        }
    }
    wire.respond(date)
}

/// The simulator's own time, for the header `Date`.
pub(crate) fn date(state: &State) -> Date {
    let now_s = u64::try_from(state.clock().now_s()).unwrap_or(0);
    Date((UNIX_EPOCH + Duration::from_secs(now_s)).into())
}

/// Answers a call, with the fault that waits for it, and writes the call into the journal.
fn answer(wechat: &mut WeChat, call: &Call) -> Wire {
    let bearer = call.access_token().and_then(|token| wechat.tokens.bearer(token));
    let account = match &bearer {
        Some(bearer) => Some(bearer.appid.clone()),
        None => call.claimed_appid().filter(|appid| wechat.accounts.contains_key(*appid)).map(str::to_owned),
    };
    let user = call.user().map(str::to_owned);
    let fault = wechat.faults.take(&call.path, account.as_deref(), user.as_deref());

    let takes_effect = fault.as_ref().is_none_or(FaultRequest::takes_effect);
    let chars = match &fault {
        Some(fault) if fault.kind == FaultKind::LongToken => token::LONG_CHARS,
        _ => token::USUAL_CHARS,
    };
    let result = match takes_effect {
        true => act(wechat, call, chars),
        // The fault replaces this answer.
        false => Ok(ok()),
    };
    let delivered = (call.path == SEND).then_some(takes_effect && result.is_ok());
    let now_s = wechat.clock.now_s();
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
        fault: fault.map(|fault| fault.kind.to_string()),
    };
    wechat.record(account, user, Event::ApiCall(entry));
    wire
}

fn act(wechat: &mut WeChat, call: &Call, token_chars: usize) -> Result<Answer, ApiError> {
    let (path, method) = ROUTES.into_iter().find(|(path, _)| *path == call.path).ok_or(ApiError::INVALID_URL)?;
    match method {
        "GET" if call.method != "GET" => return Err(ApiError::REQUIRES_GET),
        "POST" if call.method != "POST" => return Err(ApiError::REQUIRES_POST),
        _ => {}
    }
    match path {
        TOKEN => return token::plain(wechat, call, token_chars),
        STABLE_TOKEN => return token::stable(wechat, call, token_chars),
        _ => {}
    }
    let access_token = call.access_token().ok_or(ApiError::TOKEN_MISSING)?;
    let appid = wechat.tokens.check(access_token, wechat.clock.now_ms())?.appid;
    match path {
        SEND => message::send(wechat, &appid, call),
        MEDIA_UPLOAD => media::upload(wechat, &appid, call),
        MEDIA_GET => media::get(wechat, &appid, call),
        CALLBACK_CHECK => callback::check(wechat, &appid, call),
        _ => message::typing(wechat, &appid, call),
    }
}

/// A text field that is present and not empty.
fn filled<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn ok() -> Answer {
    Answer::Json(errcode::json_ok())
}
