//! `/simulator/journal` and `/simulator/journal/wait`.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Query};
use serde::Deserialize;
use serde_json::json;

use crate::journal::Filter;
use crate::world::World;

const MAX_WAIT_MS: u64 = 120_000;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/journal", web::get().to(read))
        .route("/journal", web::delete().to(clear))
        .route("/journal/wait", web::get().to(wait));
}

async fn read(world: Data<World>, filter: Query<Filter>) -> HttpResponse {
    let entries = world.lock().journal.find(&filter);
    HttpResponse::Ok().json(entries.iter().map(AsRef::as_ref).collect::<Vec<_>>())
}

async fn clear(world: Data<World>) -> HttpResponse {
    let mut platform = world.lock();
    let cleared = platform.journal.clear();
    HttpResponse::Ok().json(json!({ "cleared": cleared, "last": platform.journal.last() }))
}

/// The filter's fields, and these. Not flattened into it: a flattened query has texts only, no numbers.
#[derive(Deserialize)]
struct Patience {
    #[serde(default = "one")]
    count: usize,
    #[serde(default = "ten_seconds")]
    timeout_ms: u64,
}

fn one() -> usize {
    1
}

fn ten_seconds() -> u64 {
    10_000
}

async fn wait(world: Data<World>, patience: Query<Patience>, request: actix_web::HttpRequest) -> HttpResponse {
    let own = |pair: &&str| !(pair.starts_with("count=") || pair.starts_with("timeout_ms="));
    let rest: Vec<&str> = request.query_string().split('&').filter(own).collect();
    let filter = match Query::<Filter>::from_query(&rest.join("&")) {
        Ok(filter) => filter.into_inner(),
        Err(error) => return super::refusal(actix_web::http::StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let timeout = Duration::from_millis(patience.timeout_ms.min(MAX_WAIT_MS));
    let entries = world.journal_wait(&filter, patience.count, timeout).await;
    let complete = entries.len() >= patience.count;
    let entries: Vec<_> = entries.iter().map(AsRef::as_ref).collect();
    HttpResponse::Ok().json(json!({ "complete": complete, "entries": entries }))
}
