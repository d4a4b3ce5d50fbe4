//! RabbitMQ away while ingress has a spool: no push is refused.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::stack::Backend;

use crate::rounds;
use crate::trial::{Trial, TrialOptions};

const INGRESS: usize = 0;

/// Longer than WeChat's patience with one try.
const HALT: Duration = Duration::from_secs(7);

/// Two cores relay and handle what has piled up, and take what comes meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);

async fn start() -> Trial {
    let mut options = TrialOptions::new(Backend::Production);
    options.settings.push(("ingress", "spool = \"spool\"".to_owned()));
    let trial = Trial::start(options).await;
    trial.delivers(30).await;
    trial
}

/// Waits until ingress is ready, and its spool is in this state.
async fn is_ready_and(trial: &Trial, state: &str) {
    let name = format!("kefu_ingress_spool_state{{state=\"{state}\"}}");
    eventually(PATIENCE, &format!("the spool is {state}"), async || {
        if trial.stack.programs[INGRESS].metric(&name).await == 1.0 { Ok(()) } else { Err("it is in another state") }
    })
    .await;
    let (_, text) = trial.stack.programs[INGRESS].ask("/readyz").await;
    assert!(text.contains("\"status\":\"ready\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_push_is_accepted_while_rabbitmq_is_down() {
    let mut trial = start().await;
    let memory = trial.stack.programs[INGRESS].peak_memory();
    trial.broker().kill();
    trial.accepts(30).await;
    is_ready_and(&trial, "spooling").await;
    let (_, text) = trial.stack.programs[INGRESS].ask("/readyz").await;
    assert!(text.contains("\"ingress_queue\":\"degraded"), "{text}");
    tokio::time::sleep(rounds::outage()).await;
    trial.broker().restart().await;
    is_ready_and(&trial, "direct").await;
    trial.accepts(30).await;
    let more = trial.stack.programs[INGRESS].peak_memory() - memory;
    println!("ingress: at most {} KiB before, {} KiB more meanwhile", memory / 1_024, more / 1_024);
    // The cache of the database, and some; not what is spooled in a minute or an hour.
    assert!(more < 128 * 1_024 * 1_024, "{more} bytes");
    trial.end("RabbitMQ down, with a spool").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_spooled_is_lost_when_ingress_is_killed() {
    let mut trial = start().await;
    trial.broker().kill();
    for _ in 0..rounds::rounds() {
        trial.accepts(30).await;
        trial.kill(INGRESS);
        // It is ready without the broker.
        trial.bring_back(INGRESS).await;
    }
    trial.broker().restart().await;
    // In the middle of relaying.
    trial.kill(INGRESS);
    trial.bring_back(INGRESS).await;
    is_ready_and(&trial, "direct").await;
    trial.accepts(30).await;
    trial.end("ingress killed, with a spool").await.must_be_sound().must_be_in_time();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_push_is_accepted_while_rabbitmq_hangs_and_while_it_has_no_memory() {
    let mut trial = start().await;
    trial.broker().stop_signal();
    tokio::time::sleep(HALT).await;
    trial.broker().cont_signal();
    is_ready_and(&trial, "direct").await;
    trial.broker().raise_memory_alarm().await;
    is_ready_and(&trial, "spooling").await;
    trial.accepts(30).await;
    trial.broker().clear_memory_alarm().await;
    is_ready_and(&trial, "direct").await;
    trial.end("RabbitMQ hanging and full, with a spool").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}
