//! HTTP: the API's routes, the simulator's own, the chat page.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::Date;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt, stream};

use crate::api::{self, Call, Cut, Wire};
use crate::control;
use crate::world::World;

const PAGE: &str = include_str!("../assets/chat.html");

/// All routes.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(chat_page))
        .service(web::scope("/simulator").configure(control::configure))
        .default_service(web::to(api_call));
}

async fn chat_page(world: Data<World>) -> HttpResponse {
    HttpResponse::Ok().insert_header(date(&world)).content_type("text/html; charset=utf-8").body(PAGE)
}

async fn api_call(world: Data<World>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let query = web::Query::<HashMap<String, String>>::from_query(request.query_string());
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let content_type = request.headers().get("Content-Type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let call = Call::read(request.method().as_str(), request.path(), query, content_type, body);
    let date = date(&world);
    let wire = api::answer(&mut world.lock(), &call);
    if !wire.delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(wire.delay) => {}
            () = world.stopping.cancelled() => {}
        }
    }
    respond(wire, date)
}

/// The simulator's own time.
fn date(world: &World) -> Date {
    let now_s = u64::try_from(world.clock.now_s()).unwrap_or(0);
    Date((UNIX_EPOCH + Duration::from_secs(now_s)).into())
}

fn respond(wire: Wire, date: Date) -> HttpResponse {
    let mut response = HttpResponseBuilder::new(StatusCode::from_u16(wire.status).unwrap_or(StatusCode::OK));
    response.insert_header(date);
    response.content_type(wire.content_type);
    if let Some(filename) = wire.filename {
        response.insert_header(("Content-disposition", format!("attachment; filename=\"{filename}\"")));
    }
    let length = wire.body.len();
    match wire.cut {
        Cut::Never => response.body(wire.body),
        Cut::Before => response.body(SizedStream::new(1, stream::once(async { Err::<Bytes, _>(broken()) }))),
        Cut::Middle => {
            let first = stream::once(std::future::ready(Ok(wire.body.slice(..length / 2))));
            let then = stream::once(async {
                // Lets the server write the first part.
                tokio::task::yield_now().await;
                Err(broken())
            });
            response.body(SizedStream::new(length as u64, first.chain(then)))
        }
    }
}

/// A body that ends so makes the server close the connection; what it has not written by then is never sent, and the
/// head is not written before the body has been asked for its first part.
fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut by order of a fault")
}
