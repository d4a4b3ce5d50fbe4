//! The internal HTTP server of a process: `/livez`, `/readyz`, `/metrics`, in `kefu serve` the dead letters, and the
//! program's own resources. The server is not for the internet.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::{Server, Service as _};
use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub mod bearer;
pub mod dead_letters;
mod readiness;
pub mod slashes;
#[cfg(test)]
mod tests;

use readiness::READY;
pub use readiness::Readiness;

/// A program's view of its internal server.
#[derive(Clone, Default)]
pub struct Internal {
    /// The address of the server; `None` without a server.
    pub address: Option<SocketAddr>,
    /// The resource that can offer dead letters.
    pub dead_letters: dead_letters::Resource,
}

/// The program's own resources on its internal server. They exist from the start, before queue and store are open; until
/// then the resources themselves must say so.
#[derive(Clone, Default)]
pub struct Routes(Option<Arc<Configure>>);

type Configure = dyn Fn(&mut web::ServiceConfig) + Send + Sync;

impl Routes {
    /// The resources that `configure` adds.
    pub fn new(configure: impl Fn(&mut web::ServiceConfig) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(configure)))
    }
}

/// Serves until the runtime ends, so that the state of a shutdown stays visible; `draining` turns readiness off.
///
/// # Errors
/// When the server cannot listen on the address.
pub fn serve(
    listen: SocketAddr,
    readiness: Readiness,
    metrics: PrometheusHandle,
    draining: CancellationToken,
    routes: Routes,
) -> std::io::Result<(Server, Internal)> {
    let dead_letters = dead_letters::Resource::default();
    let resource = web::Data::new(dead_letters.clone());
    let state = web::Data::new(State { readiness, metrics, draining });
    let server = HttpServer::new(move || {
        let (state, resource, routes) = (state.clone(), resource.clone(), routes.clone());
        App::new()
            .configure(move |service| configure(service, state))
            .configure(move |service| {
                if let Some(configure) = routes.0 {
                    configure(service);
                }
            })
            .app_data(resource)
            .route(dead_letters::PATH, web::post().to(dead_letters::post))
            .wrap_fn(|mut request, resources| {
                slashes::merge(&mut request);
                resources.call(request)
            })
    })
    .workers(1)
    .disable_signals()
    .bind(listen)?;
    for address in server.addrs() {
        tracing::info!(role = "internal", %address, "listening");
    }
    let address = server.addrs().first().copied();
    Ok((server.run(), Internal { address, dead_letters }))
}

fn configure(service: &mut web::ServiceConfig, state: web::Data<State>) {
    service
        .app_data(state)
        .route("/livez", web::get().to(livez))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(render_metrics));
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
    let (status, checks) = state.readiness.ask().await;
    let status = if state.draining.is_cancelled() { "draining" } else { status };
    let mut response = if status == READY { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "status": status, "checks": checks }))
}

async fn render_metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(state.metrics.render())
}
