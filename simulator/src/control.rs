//! `/simulator/…`: what tests and people ask of the simulator itself.

use std::time::Duration;

use actix_web::error::{InternalError, JsonPayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Deserialize;
use serde_json::json;

use crate::faults::FaultRequest;
use crate::report::{LoadRequest, PushRequest};
use crate::simulator::RequestError;
use crate::world::World;
use crate::{load, pushing};

mod accounts;
mod journal;

pub(crate) use accounts::set_callback;

type Answer = Result<HttpResponse, RequestError>;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/push", web::post().to(push))
        .route("/verify", web::post().to(verify))
        .route("/load", web::post().to(run_load))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::get().to(list_faults))
        .route("/faults", web::delete().to(clear_faults))
        .route("/clock", web::get().to(tell_time))
        .route("/clock", web::post().to(advance_clock))
        .configure(accounts::configure)
        .configure(journal::configure)
        .default_service(web::to(|| async { refusal(StatusCode::NOT_FOUND, "the simulator has no such route") }));
}

async fn push(world: Data<World>, request: Json<PushRequest>) -> Answer {
    Ok(HttpResponse::Ok().json(pushing::push(&world, request.into_inner()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfAccount {
    account: String,
}

async fn verify(world: Data<World>, request: Json<OfAccount>) -> Answer {
    Ok(HttpResponse::Ok().json(world.verify(&request.account).await?))
}

async fn run_load(world: Data<World>, request: Json<LoadRequest>) -> Answer {
    Ok(HttpResponse::Ok().json(load::load(&world, request.into_inner()).await?))
}

async fn add_fault(world: Data<World>, request: Json<FaultRequest>) -> Answer {
    let id = world.lock().order(request.into_inner())?;
    Ok(HttpResponse::Ok().json(json!({ "id": id })))
}

async fn list_faults(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok().json(world.lock().faults.active())
}

async fn clear_faults(world: Data<World>) -> HttpResponse {
    let unused = world.lock().faults.clear();
    HttpResponse::Ok().json(json!({ "unused": unused }))
}

async fn tell_time(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "now_ms": world.clock.now_ms() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

async fn advance_clock(world: Data<World>, request: Json<Advance>) -> HttpResponse {
    world.clock.advance(Duration::from_millis(request.advance_ms));
    tell_time(world).await
}

/// A body that is not what the route takes.
pub(crate) fn unreadable(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let response = refusal(StatusCode::BAD_REQUEST, &error.to_string());
    InternalError::from_response(error, response).into()
}

/// A query that is not what the route takes.
pub(crate) fn unreadable_query(error: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
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
