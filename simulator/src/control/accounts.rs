//! Accounts, users, limits, pictures.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Answer;
use crate::config::Limits;
use crate::simulator::RequestError;
use crate::world::World;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/accounts", web::get().to(list))
        .route("/callback", web::post().to(callback))
        .route("/users", web::post().to(register))
        .route("/users/{account}/{user}", web::get().to(show_user))
        .route("/limits", web::get().to(show_limits))
        .route("/limits", web::patch().to(change_limits))
        .route("/media/{media_id}", web::get().to(picture));
}

/// Without secrets.
async fn list(world: Data<World>) -> HttpResponse {
    let platform = world.lock();
    let accounts = platform.accounts.values().map(|account| {
        json!({
            "appid": account.appid, "raw_id": account.raw_id, "mode": account.mode, "format": account.format,
            "callback_url": account.callback_url, "encrypts": account.encoding_aes_key.is_some()
        })
    });
    HttpResponse::Ok().json(accounts.collect::<Vec<_>>())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Callback {
    account: String,
    url: String,
}

async fn callback(world: Data<World>, request: Json<Callback>) -> Answer {
    set_callback(&world, &request.account, &request.url)?;
    Ok(HttpResponse::Ok().json(json!({ "ok": true })))
}

/// Sets where an account's pushes go.
pub(crate) fn set_callback(world: &World, appid: &str, url: &str) -> Result<(), RequestError> {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(RequestError::Invalid("a callback URL begins with http:// or https://".to_owned()));
    }
    let mut platform = world.lock();
    let account = platform.accounts.get_mut(appid).ok_or_else(|| RequestError::UnknownAccount(appid.to_owned()))?;
    account.callback_url = Some(url.to_owned());
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    account: String,
    users: Vec<String>,
}

async fn register(world: Data<World>, request: Json<Register>) -> Answer {
    let mut platform = world.lock();
    platform.account(&request.account)?;
    request.users.iter().for_each(|user| platform.users.register(&request.account, user));
    Ok(HttpResponse::Ok().json(json!({ "ok": true })))
}

/// The user's window, of which `remaining` counts only before `until_ms`.
async fn show_user(world: Data<World>, path: Path<(String, String)>) -> Answer {
    let platform = world.lock();
    let (account, user) = path.into_inner();
    platform.account(&account)?;
    let window = platform.users.find(&account, &user).map(|user| user.window);
    let open = window.filter(|window| platform.clock.now_ms() < window.until_ms);
    Ok(HttpResponse::Ok().json(json!({
        "known": window.is_some(),
        "remaining": open.map_or(0, |window| window.remaining),
        "until_ms": open.map(|window| window.until_ms),
    })))
}

async fn show_limits(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok().json(world.lock().limits)
}

async fn change_limits(world: Data<World>, changes: Json<Map<String, Value>>) -> Answer {
    let invalid = |error: serde_json::Error| RequestError::Invalid(error.to_string());
    let mut platform = world.lock();
    let mut limits = serde_json::to_value(platform.limits).map_err(invalid)?;
    for (name, value) in changes.into_inner() {
        limits[name] = value;
    }
    platform.limits = serde_json::from_value::<Limits>(limits).map_err(invalid)?;
    Ok(HttpResponse::Ok().json(platform.limits))
}

async fn picture(world: Data<World>, media_id: Path<String>) -> HttpResponse {
    match world.lock().media.peek(&media_id) {
        Some(item) => HttpResponse::Ok().content_type(item.kind.content_type()).body(item.bytes.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}
