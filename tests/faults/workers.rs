//! Workers that come and go.

use std::time::{Duration, Instant};

use kefu_harness::eventually;
use kefu_harness::process::Program;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Filter, Limits, LoadRequest};

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
    // Each gets a third.
    spread(&trial, "three workers", 3, 21).await;
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

/// `[worker] concurrency` of the workers that share a backlog.
const CONCURRENCY: usize = 40;

/// How long a call of WeChat's API takes there: long enough that concurrency and not the machine is the limit.
const LATENCY: Duration = Duration::from_secs(1);

/// More than the workers send while the test looks.
const BACKLOG: u32 = 3_000;

/// How long a worker that joins may take from its start to its full concurrency.
const JOINS: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_join_a_backlog_soon_work_at_full_concurrency() {
    let mut options = ShopOptions::new(Backend::Production);
    // With the default number of partitions, and the prefetch that follows from the concurrency.
    options.settings = vec![("worker", format!("concurrency = {CONCURRENCY}"))];
    options.limits = Limits { journal_entries: 100_000, ..Limits::default() };
    let mut shop = Shop::start(options).await;
    let idle = shop.stack.programs.remove(WORKER);
    idle.terminate();
    idle.end_within(Duration::from_secs(10)).await;

    let load = LoadRequest {
        account: shop.appid().to_owned(),
        users: BACKLOG,
        pushes: BACKLOG,
        per_second: 1_000.0,
        text: "hello".to_owned(),
        user_prefix: "oUser".to_owned(),
        format: None,
        mode: None,
        journal: false,
    };
    let report = shop.simulator.load(load).await.expect("the simulator takes the load");
    assert_eq!(report.answered, BACKLOG, "the backlog is whole");
    let latency_ms = u64::try_from(LATENCY.as_millis()).ok();
    let slow = FaultRequest { times: u32::MAX, latency_ms, ..FaultRequest::new(FaultKind::Latency, "custom/send") };
    shop.simulator.fault(slow).expect("the simulator takes the fault");

    shop.stack.programs.push(Program::start(shop.stack.launch(WORKER)).await);
    at_full_concurrency(&shop, 1).await;
    let alone = rate(&shop, 5 * CONCURRENCY).await;
    for workers in 2..=4 {
        shop.stack.programs.push(Program::start(shop.stack.launch(WORKER)).await);
        at_full_concurrency(&shop, workers).await;
    }
    let together = rate(&shop, 20 * CONCURRENCY).await;
    println!("one worker sends {alone:.0} replies a second, four send {together:.0}");
    assert!(together >= 3.3 * alone, "one worker sends {alone:.0} replies a second, four send {together:.0}");
}

/// Waits until each of the workers works on as many messages at once as it may, or nearly.
async fn at_full_concurrency(shop: &Shop, workers: usize) {
    let nearly = CONCURRENCY * 9 / 10;
    let all_work = async || {
        let mut in_flight = Vec::new();
        for worker in &shop.stack.programs[WORKER..] {
            in_flight.push(worker.metric("kefu_worker_in_flight").await);
        }
        let sound = in_flight.len() == workers && in_flight.iter().all(|count| *count >= nearly as f64);
        if sound { Ok(()) } else { Err(format!("{in_flight:?} messages are in work")) }
    };
    eventually(JOINS, &format!("{workers} workers at {CONCURRENCY} messages each"), all_work).await;
}

/// How many replies reach users in a second, over the next `replies`.
async fn rate(shop: &Shop, replies: usize) -> f64 {
    let begun = Instant::now();
    let filter = Filter::delivered(shop.simulator.journal_last());
    let seen = shop.simulator.journal_wait(&filter, replies, Duration::from_secs(60)).await.len();
    assert!(seen >= replies, "{seen} replies instead of {replies}");
    seen as f64 / begun.elapsed().as_secs_f64()
}
