//! Servers that are away, hang, or take nothing, for a while.

use std::time::Duration;

use kefu_harness::stack::{Backend, Servers};

use crate::trial::{Trial, TrialOptions};

/// Longer than WeChat's patience with one try.
const HALT: Duration = Duration::from_secs(7);
const ALARM: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_push_is_answered_in_time_and_nothing_is_lost_while_rabbitmq_hangs() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    trial.delivers(30).await;
    trial.broker().stop_signal();
    trial.answers_others_for(HALT).await;
    trial.broker().cont_signal();
    trial.accepts(30).await;
    trial.end("RabbitMQ stopped for 7 s").await.must_be_sound().must_be_in_time();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_push_is_accepted_and_nothing_is_lost_while_redis_hangs() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    trial.delivers(30).await;
    trial.redis().stop_signal();
    trial.answers_others_for(HALT).await;
    trial.redis().cont_signal();
    trial.delivers(30).await;
    trial.end("Redis stopped for 7 s").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_rabbitmq_takes_nothing_for_want_of_memory() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    trial.delivers(30).await;
    trial.broker().raise_memory_alarm().await;
    trial.answers_others_for(ALARM).await;
    trial.broker().clear_memory_alarm().await;
    trial.accepts(30).await;
    trial.end("memory alarm for 10 s").await.must_be_sound().must_be_in_time();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_redis_is_emptied() {
    let trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    for _ in 0..3 {
        trial.delivers(30).await;
        let Servers::Production { redis, .. } = &trial.stack.servers else { unreachable!("it is a production stack") };
        let client = redis::Client::open(redis.url()).expect("a Redis URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("Redis is up");
        let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.expect("Redis obeys");
    }
    trial.delivers(30).await;
    let outcomes = trial.end("Redis emptied").await;
    // The ledger is gone with the rest: what was in work may be sent again, and only that.
    assert!(outcomes.audit.missing.is_empty(), "{}", outcomes.audit);
    assert!(outcomes.audit.disordered.is_empty(), "{}", outcomes.audit);
    outcomes.must_be_in_time().must_all_be_accepted();
}
