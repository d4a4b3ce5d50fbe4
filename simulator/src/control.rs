//! `/simulator/…`: the simulator's own routes, for tests and people; and the chat page, which uses them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api;
use crate::config::Limits;
use crate::faults::{ActiveFault, FaultRequest};
use crate::journal::{Entry, Filter};
use crate::push::report::{PushReport, PushRequest, VerifyReport};
use crate::state::{RequestError, State};

const PAGE: &str = include_str!("../assets/chat.html");
const MAX_WAIT_MS: u64 = 120_000;

type Answer<T = Value> = Result<Json<T>, RequestError>;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/push", web::post().to(push))
        .route("/verify", web::post().to(verify))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::get().to(list_faults))
        .route("/faults", web::delete().to(clear_faults))
        .route("/clock", web::get().to(tell_time))
        .route("/clock", web::post().to(advance_clock))
        .route("/accounts", web::get().to(list_accounts))
        .route("/callback", web::post().to(set_callback))
        .route("/users", web::post().to(register))
        .route("/users/{account}/{user}", web::get().to(show_user))
        .route("/limits", web::get().to(show_limits))
        .route("/limits", web::patch().to(change_limits))
        .route("/media/{media_id}", web::get().to(picture))
        .route("/journal", web::get().to(read_journal))
        .route("/journal", web::delete().to(clear_journal))
        .route("/journal/wait", web::get().to(wait_for_journal))
        .default_service(web::to(|| async { refusal(StatusCode::NOT_FOUND, "the simulator has no such route") }));
}

pub(crate) async fn chat_page(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().insert_header(api::date(&state)).content_type("text/html; charset=utf-8").body(PAGE)
}

async fn push(state: Data<State>, request: Json<PushRequest>) -> Answer<PushReport> {
    state.push(request.into_inner()).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    account: String,
}

async fn verify(state: Data<State>, request: Json<Verify>) -> Answer<VerifyReport> {
    state.verify(&request.account).await.map(Json)
}

async fn add_fault(state: Data<State>, request: Json<FaultRequest>) -> Answer {
    state.fault(request.into_inner()).map(|id| Json(json!({ "id": id })))
}

async fn list_faults(state: Data<State>) -> Json<Vec<ActiveFault>> {
    Json(state.lock().faults.active().to_vec())
}

async fn clear_faults(state: Data<State>) -> Json<Value> {
    Json(json!({ "unused": state.lock().faults.clear() }))
}

async fn tell_time(state: Data<State>) -> Json<Value> {
    Json(json!({ "now_ms": state.clock().now_ms() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

async fn advance_clock(state: Data<State>, request: Json<Advance>) -> Json<Value> {
    state.clock().advance(Duration::from_millis(request.advance_ms));
    tell_time(state).await
}

/// Lists the accounts, without their secrets.
async fn list_accounts(state: Data<State>) -> Json<Vec<Value>> {
    let wechat = state.lock();
    let accounts = wechat.accounts.values().map(|account| {
        json!({
            "appid": account.appid, "raw_id": account.raw_id, "mode": account.mode, "format": account.format,
            "callback_url": account.callback_url, "encrypts": account.encoding_aes_key.is_some()
        })
    });
    Json(accounts.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Callback {
    account: String,
    url: String,
}

async fn set_callback(state: Data<State>, request: Json<Callback>) -> Answer {
    state.set_callback(&request.account, &request.url).map(|()| Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    account: String,
    users: Vec<String>,
}

async fn register(state: Data<State>, request: Json<Register>) -> Answer {
    state.register(&request.account, &request.users).map(|()| Json(json!({ "ok": true })))
}

/// Shows the user's window. `remaining` counts only before `until_ms`.
async fn show_user(state: Data<State>, path: Path<(String, String)>) -> Answer {
    let wechat = state.lock();
    let (account, user) = path.into_inner();
    wechat.account(&account)?;
    let window = wechat.users.find(&account, &user).map(|user| user.window);
    let open = window.filter(|window| wechat.clock.now_ms() < window.until_ms);
    Ok(Json(json!({
        "known": window.is_some(),
        "remaining": open.map_or(0, |window| window.remaining),
        "until_ms": open.map(|window| window.until_ms),
    })))
}

async fn show_limits(state: Data<State>) -> Json<Limits> {
    Json(state.lock().limits)
}

async fn change_limits(state: Data<State>, changes: Json<Map<String, Value>>) -> Answer<Limits> {
    let invalid = |error: serde_json::Error| RequestError::Invalid(error.to_string());
    let mut wechat = state.lock();
    let mut limits = serde_json::to_value(wechat.limits).map_err(invalid)?;
    for (name, value) in changes.into_inner() {
        limits[name] = value;
    }
    wechat.limits = serde_json::from_value(limits).map_err(invalid)?;
    Ok(Json(wechat.limits))
}

async fn picture(state: Data<State>, media_id: Path<String>) -> HttpResponse {
    match state.lock().media.peek(&media_id) {
        Some(item) => HttpResponse::Ok().content_type(item.kind.content_type).body(item.bytes.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn read_journal(state: Data<State>, filter: Query<Filter>) -> HttpResponse {
    HttpResponse::Ok().json(plain(&state.journal(&filter)))
}

async fn clear_journal(state: Data<State>) -> Json<Value> {
    let mut wechat = state.lock();
    let cleared = wechat.journal.clear();
    Json(json!({ "cleared": cleared, "last": wechat.journal.last() }))
}

/// The parameters of a wait, in addition to the filter's parameters. The two are not flattened into one type, because a
/// flattened query has only texts and no numbers.
#[derive(Deserialize)]
#[serde(default)]
struct Patience {
    count: usize,
    timeout_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { count: 1, timeout_ms: 10_000 }
    }
}

async fn wait_for_journal(state: Data<State>, patience: Query<Patience>, request: HttpRequest) -> HttpResponse {
    let own = |pair: &&str| !(pair.starts_with("count=") || pair.starts_with("timeout_ms="));
    let rest: Vec<&str> = request.query_string().split('&').filter(own).collect();
    let filter = match Query::<Filter>::from_query(&rest.join("&")) {
        Ok(filter) => filter.into_inner(),
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let timeout = Duration::from_millis(patience.timeout_ms.min(MAX_WAIT_MS));
    let entries = state.journal_wait(&filter, patience.count, timeout).await;
    let complete = entries.len() >= patience.count;
    HttpResponse::Ok().json(json!({ "complete": complete, "entries": plain(&entries) }))
}

fn plain(entries: &[Arc<Entry>]) -> Vec<&Entry> {
    entries.iter().map(AsRef::as_ref).collect()
}

/// The answer to a body or a query that the route does not accept.
pub(crate) fn unreadable<E: std::error::Error + 'static>(error: E, _: &HttpRequest) -> actix_web::Error {
    let response = refusal(StatusCode::BAD_REQUEST, &error.to_string());
    InternalError::from_response(error, response).into()
}

fn refusal(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": text }))
}

impl ResponseError for RequestError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::UnknownAccount(_) => StatusCode::NOT_FOUND,
            Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoCallback(_) | Self::Invalid(_) | Self::Build(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn error_response(&self) -> HttpResponse {
        refusal(self.status_code(), &self.to_string())
    }
}
