//! Workers that come and go.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::stack::Backend;

use crate::trial::{Trial, TrialOptions};

/// The first worker of a production stack.
const WORKER: usize = 1;

/// How long the broker may take to spread the partitions over the workers.
const SPREADS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_and_work_spreads_while_workers_are_added_killed_and_stopped() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    trial.delivers(30).await;
    spread(&trial, "one worker", 1, 64).await;

    trial.add_worker().await;
    trial.add_worker().await;
    // Each gets a third by a hash: at least a sixth.
    spread(&trial, "three workers", 3, 10).await;
    trial.delivers(100).await;

    trial.kill(WORKER + 1);
    spread(&trial, "two workers, one was killed", 2, 16).await;
    trial.delivers(100).await;

    trial.stop(WORKER + 2).await;
    spread(&trial, "one worker, one was stopped", 1, 64).await;
    trial.delivers(100).await;
    trial.end("1, 3, 1 workers").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}

/// Waits until `workers` consumers are active on `least` partitions at least each, and says how the partitions are spread.
async fn spread(trial: &Trial, when: &str, workers: usize, least: usize) {
    let shares = eventually(SPREADS, "the partitions are spread", async || {
        let shares = trial.active_partitions().await;
        let sound = shares.len() == workers && shares.iter().sum::<usize>() == 64 && shares.iter().all(|n| *n >= least);
        if sound { Ok(shares) } else { Err(format!("{shares:?}")) }
    })
    .await;
    println!("{when}: active on {shares:?} partitions");
}
