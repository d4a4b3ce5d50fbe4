use std::sync::Arc;

use actix_web::{App, test, web};
use async_trait::async_trait;
use futures_util::FutureExt;
use kefu_runtime::health::Health;
use kefu_store::{Probe, StoreError};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Readiness, State, configure};

async fn readyz(readiness: &Readiness, draining: &CancellationToken) -> (u16, Value) {
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let state = State { readiness: readiness.clone(), metrics, draining: draining.clone() };
    let state = web::Data::new(state);
    let app = test::init_service(App::new().configure(move |service| configure(service, state))).await;
    let response = test::call_service(&app, test::TestRequest::get().uri("/readyz").to_request()).await;
    let status = response.status().as_u16();
    (status, test::read_body_json(response).await)
}

fn add(readiness: &Readiness, name: &'static str, required: bool, health: Health) {
    readiness.add(name, required, move || {
        let health = health.clone();
        async move { health }.boxed()
    });
}

/// A store that answers what it is given, or never.
struct Store(Option<Result<(), StoreError>>);

#[async_trait]
impl Probe for Store {
    async fn probe(&self) -> Result<(), StoreError> {
        match &self.0 {
            Some(answer) => answer.clone(),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn a_process_is_starting_until_all_its_checks_are_there() {
    let (readiness, draining) = (Readiness::default(), CancellationToken::new());
    assert_eq!(readyz(&readiness, &draining).await, (503, json!({ "status": "starting", "checks": {} })));
    add(&readiness, "queue", true, Health::Up);
    let half = json!({ "status": "starting", "checks": { "queue": "up" } });
    assert_eq!(readyz(&readiness, &draining).await, (503, half));
    readiness.complete();
    let all = json!({ "status": "ready", "checks": { "queue": "up" } });
    assert_eq!(readyz(&readiness, &draining).await, (200, all));
}

#[tokio::test]
async fn a_required_check_decides_and_another_is_only_shown() {
    let (readiness, draining) = (Readiness::default(), CancellationToken::new());
    add(&readiness, "claims", false, Health::Down("away".to_owned()));
    readiness.complete();
    let degraded = json!({ "status": "ready", "checks": { "claims": "degraded: away" } });
    assert_eq!(readyz(&readiness, &draining).await, (200, degraded));
    add(&readiness, "queue", true, Health::Down("gone".to_owned()));
    let down = json!({ "status": "not ready", "checks": { "claims": "degraded: away", "queue": "down: gone" } });
    assert_eq!(readyz(&readiness, &draining).await, (503, down));
}

#[tokio::test]
async fn a_process_that_shuts_down_is_not_ready_whatever_its_checks_say() {
    let (readiness, draining) = (Readiness::default(), CancellationToken::new());
    add(&readiness, "queue", true, Health::Up);
    readiness.complete();
    draining.cancel();
    let (status, body) = readyz(&readiness, &draining).await;
    assert_eq!((status, &body["status"]), (503, &json!("draining")));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_down_after_a_second() {
    let (readiness, draining) = (Readiness::default(), CancellationToken::new());
    readiness.add_store("up", true, Arc::new(Store(Some(Ok(())))));
    let away = StoreError::Unavailable("refused".into());
    readiness.add_store("away", false, Arc::new(Store(Some(Err(away)))));
    readiness.add_store("silent", true, Arc::new(Store(None)));
    readiness.complete();
    let begun = tokio::time::Instant::now();
    let (status, body) = readyz(&readiness, &draining).await;
    assert_eq!(begun.elapsed().as_secs(), 1);
    let checks = json!({
        "up": "up", "away": "degraded: the store cannot be used now: refused",
        "silent": "down: the store does not answer",
    });
    assert_eq!((status, &body["checks"]), (503, &checks));
}
