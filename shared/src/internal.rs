//! The internal HTTP server of a process: `/livez`, `/readyz`, `/metrics`. It is not for the internet.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Server;
use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::future::{BoxFuture, join_all};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::health::Health;

/// What must be up for the process to be ready. Clones share the checks.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Vec<Check>>>);

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Health> + Send + Sync>;

#[derive(Clone)]
struct Check {
    name: &'static str,
    required: bool,
    ask: Ask,
}

impl Readiness {
    /// Adds a check. One that is not `required` shows in the answer as degraded and leaves the process ready.
    pub fn add(
        &self,
        name: &'static str,
        required: bool,
        ask: impl Fn() -> BoxFuture<'static, Health> + Send + Sync + 'static,
    ) {
        let check = Check { name, required, ask: Arc::new(ask) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(check);
    }

    async fn ask(&self) -> (bool, serde_json::Map<String, serde_json::Value>) {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answers = join_all(checks.iter().map(|check| (check.ask)())).await;
        let mut ready = true;
        let mut details = serde_json::Map::new();
        for (check, health) in checks.iter().zip(answers) {
            let text = match health {
                Health::Up => "up".to_owned(),
                Health::Down(why) => {
                    ready &= !check.required;
                    format!("{}: {why}", if check.required { "down" } else { "degraded" })
                }
            };
            details.insert(check.name.to_owned(), text.into());
        }
        (ready, details)
    }
}

/// Serves until the runtime ends, so that the state of a shutdown can be seen; `draining` turns readiness off.
///
/// # Errors
/// When the address cannot be bound.
pub fn serve(
    listen: SocketAddr,
    readiness: Readiness,
    metrics: PrometheusHandle,
    draining: CancellationToken,
) -> std::io::Result<Server> {
    let state = web::Data::new(State { readiness, metrics, draining });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(render_metrics))
    })
    .workers(1)
    .disable_signals()
    .bind(listen)?;
    for address in server.addrs() {
        tracing::info!(role = "internal", %address, "listening");
    }
    Ok(server.run())
}

struct State {
    readiness: Readiness,
    metrics: PrometheusHandle,
    draining: CancellationToken,
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

async fn readyz(state: web::Data<State>) -> HttpResponse {
    let (up, checks) = state.readiness.ask().await;
    let draining = state.draining.is_cancelled();
    let status = match (draining, up) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not ready",
    };
    let mut response = match up && !draining {
        true => HttpResponse::Ok(),
        false => HttpResponse::ServiceUnavailable(),
    };
    response.json(json!({ "status": status, "checks": checks }))
}

async fn render_metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(state.metrics.render())
}
