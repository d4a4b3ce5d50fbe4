//! Orderly ends under load: nothing is lost, and nothing is even in doubt.

use kefu_harness::stack::Backend;

use crate::outcomes::Outcomes;
use crate::rounds::rounds;
use crate::trial::{Trial, TrialOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_of_ingress_or_worker_under_load_loses_and_doubles_nothing_and_ends_in_time() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    for round in 0..rounds() {
        trial.delivers(30).await;
        // Ingress and worker in turn.
        trial.restart(round % 2).await;
    }
    trial.delivers(30).await;
    must_leave_no_doubt(&trial.end("ingress and worker shut down").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_of_an_embedded_kefu_under_load_loses_and_doubles_nothing_and_ends_in_time() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Embedded)).await;
    for _ in 0..rounds() {
        trial.delivers(30).await;
        trial.restart(0).await;
    }
    trial.delivers(30).await;
    must_leave_no_doubt(&trial.end("kefu serve shut down").await);
}

fn must_leave_no_doubt(outcomes: &Outcomes) {
    outcomes.must_be_sound().must_be_in_time();
    assert!(outcomes.ambiguous.is_empty(), "left in doubt: {:?}", outcomes.ambiguous);
    assert!(outcomes.audit.doubled.is_empty(), "{}", outcomes.audit);
}
