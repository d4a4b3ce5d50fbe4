//! The API side: how `api.weixin.qq.com` answers a call. The code is synchronous and uses no network, so that one lock
//! makes a call, its fault and its entry in the journal one step.

use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::header::Date;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use reqwest::Url;
use serde_json::{Map, json};

use crate::faults::{FaultKind, FaultRequest};
use crate::journal::{ApiCall, Event};
use crate::state::{State, WeChat};

mod call;
mod errcode;
mod file;
mod grant;
pub(crate) mod media;
mod message;
pub(crate) mod routes;
pub(crate) mod token;
pub(crate) mod user;
mod wire;

use call::{Call, filled};
use errcode::ApiError;
use routes::{CALLBACK_CHECK, MEDIA_GET, MEDIA_UPLOAD, ROUTES, SEND, STABLE_TOKEN, TOKEN};
use wire::{Cut, Wire};

/// The largest body of a request. The simulator answers larger bodies with 413.
pub(crate) const MAX_BODY: usize = 16 * 1_024 * 1_024;

/// The operators that a check of the callback can go through.
const OPERATORS: [&str; 4] = ["CHINANET", "UNICOM", "CAP", "DEFAULT"];

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
    let token = call.access_token().and_then(|token| wechat.tokens.find(token));
    let token_serial = token.map(|token| token.serial);
    let known = || call.claimed_appid().filter(|appid| wechat.accounts.contains_key(*appid));
    let account = token.map(|token| token.appid.as_str()).or_else(known).map(str::to_owned);
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
        false => Ok(Wire::ok()),
    };
    let delivered = (call.path == SEND).then_some(takes_effect && result.is_ok());
    let now_s = wechat.clock.now_s();
    let mut wire = result.unwrap_or_else(|error| Wire::json(error.json(None, now_s)));
    if let Some(fault) = &fault {
        wire = wire.with_fault(fault, now_s);
    }
    let entry = ApiCall {
        method: call.method.clone(),
        path: call.path.clone(),
        request: call.for_journal(),
        token_serial,
        status: (wire.cut != Cut::Before).then_some(wire.status),
        errcode: wire.errcode,
        errmsg: wire.errmsg.clone(),
        delivered,
        fault: fault.map(|fault| fault.kind.to_string()),
    };
    wechat.record(account, user, Event::ApiCall(entry));
    wire
}

fn act(wechat: &mut WeChat, call: &Call, token_chars: usize) -> Result<Wire, ApiError> {
    let (path, method) = ROUTES.into_iter().find(|(path, _)| *path == call.path).ok_or(ApiError::INVALID_URL)?;
    if call.method != method {
        return Err(if method == "GET" { ApiError::REQUIRES_GET } else { ApiError::REQUIRES_POST });
    }
    match path {
        TOKEN => return grant::plain(wechat, call, token_chars),
        STABLE_TOKEN => return grant::stable(wechat, call, token_chars),
        _ => {}
    }
    let access_token = call.access_token().ok_or(ApiError::TOKEN_MISSING)?;
    let appid = wechat.tokens.check(access_token, wechat.clock.now_ms())?.to_owned();
    match path {
        SEND => message::send(wechat, &appid, call),
        MEDIA_UPLOAD => file::upload(wechat, &appid, call),
        MEDIA_GET => file::get(wechat, &appid, call),
        CALLBACK_CHECK => check_callback(wechat, &appid, call),
        _ => message::typing(wechat, &appid, call),
    }
}

/// `POST /cgi-bin/callback/check`, with the fields as in
/// <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/openApi-mgnt/callbackCheck.html>. The simulator calls
/// nothing: the answer has the host of the callback URL as the URL gives it, and says that every packet arrived.
fn check_callback(wechat: &WeChat, appid: &str, call: &Call) -> Result<Wire, ApiError> {
    let object = call.object()?;
    let operator = filled(object, "check_operator").filter(|operator| OPERATORS.contains(operator));
    let operator = operator.ok_or(ApiError::CHECK_OPERATOR)?;
    let action = filled(object, "action").filter(|action| ["all", "dns", "ping"].contains(action));
    let action = action.ok_or(ApiError::CHECK_ACTION)?;
    let url = wechat.accounts.get(appid).and_then(|account| Url::parse(account.callback_url.as_deref()?).ok());
    let host = url.as_ref().and_then(Url::host_str).ok_or(ApiError::NO_CALLBACK_URL)?;
    let mut answer = Map::new();
    if action != "ping" {
        answer.insert("dns".to_owned(), json!([{ "ip": host, "real_operator": operator }]));
    }
    if action != "dns" {
        let reached = json!({ "ip": host, "from_operator": operator, "package_loss": "0%", "time": "0.1ms" });
        answer.insert("ping".to_owned(), json!([reached]));
    }
    Ok(Wire::json(answer.into()))
}
