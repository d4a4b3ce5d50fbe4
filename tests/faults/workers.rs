//! Workers that come and go.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use kefu_harness::eventually;
use kefu_harness::process::Program;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_messages::partition::Partition;
use kefu_simulator::{FaultKind, FaultRequest, Filter, Limits, Message};
use kefu_wechat::openid::OpenId;

use crate::trial::{Trial, TrialOptions};

/// The first worker of a production stack.
const WORKER: usize = 1;

/// How long the broker may take to spread the partitions over the workers.
const SPREADS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_and_work_spreads_while_workers_are_added_killed_and_stopped() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    trial.delivers(30).await;
    spread(&trial, "one worker", 1, PARTITIONS..=PARTITIONS).await;

    trial.add_worker().await;
    trial.add_worker().await;
    // Each gets a third.
    spread(&trial, "three workers", 3, 2..=3).await;
    trial.delivers(100).await;

    trial.kill(WORKER + 1);
    spread(&trial, "two workers, one was killed", 2, 2..=6).await;
    trial.delivers(100).await;

    trial.stop(WORKER + 2).await;
    spread(&trial, "one worker, one was stopped", 1, PARTITIONS..=PARTITIONS).await;
    trial.delivers(100).await;
    trial.end("1, 3, 1 workers").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}

/// Waits until each of `workers` consumers has its `share` of the partitions, and says how the partitions are spread.
async fn spread(trial: &Trial, when: &str, workers: usize, share: RangeInclusive<u16>) {
    let shares = eventually(SPREADS, "the partitions are spread", async || {
        let shares = trial.active_partitions().await;
        let sound = shares.len() == workers
            && shares.iter().sum::<usize>() == usize::from(PARTITIONS)
            && shares.iter().all(|n| u16::try_from(*n).is_ok_and(|n| share.contains(&n)));
        if sound { Ok(shares) } else { Err(format!("{shares:?}")) }
    })
    .await;
    println!("{when}: active on {shares:?} partitions");
}

/// `[worker] concurrency` of the workers that share a backlog.
const CONCURRENCY: usize = 40;

/// How long a call of WeChat's API takes there: ten times what it usually takes, so that concurrency is the limit and not this
/// machine, which has all the workers.
const LATENCY: Duration = Duration::from_secs(1);

/// The messages of a backlog: a worker is at it for 50 s.
const BACKLOG: usize = 2_048;

/// The default of `[queue] partitions`.
const PARTITIONS: u16 = 8;

/// How long a worker that joins may take from its start to its full concurrency.
const JOINS: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_end_a_backlog_in_less_than_half_of_the_time_of_one() {
    let mut shop = shop_with_a_backlog("oFirst").await;
    let alone = ends_the_backlog(&mut shop, 1).await;
    fill(&shop, "oSecond").await;
    let together = ends_the_backlog(&mut shop, 4).await;
    println!("one worker ends a backlog in {alone:.1?}, four in {together:.1?}");
    // A quarter, and the second or two in which four programs start on the cores that one had to itself: a third here.
    assert!(together.as_secs_f64() < 0.45 * alone.as_secs_f64(), "one in {alone:.1?}, four in {together:.1?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_join_a_backlog_soon_work_at_full_concurrency() {
    let mut shop = shop_with_a_backlog("oUser").await;
    for workers in 1..=4 {
        let starts = Instant::now();
        shop.stack.programs.push(Program::start(shop.stack.launch(WORKER)).await);
        at_full_concurrency(&shop, workers, JOINS.saturating_sub(starts.elapsed())).await;
    }
}

/// A shop with a backlog and no worker.
async fn shop_with_a_backlog(users: &str) -> Shop {
    let mut options = ShopOptions::new(Backend::Production);
    // With the default number of partitions, and the prefetch that follows from the concurrency.
    options.settings = vec![("worker", format!("concurrency = {CONCURRENCY}"))];
    options.limits = Limits { journal_entries: 100_000, ..Limits::default() };
    let mut shop = Shop::start(options).await;
    stop_workers(&mut shop).await;
    let latency_ms = u64::try_from(LATENCY.as_millis()).ok();
    let slow = FaultRequest { times: u32::MAX, latency_ms, ..FaultRequest::new(FaultKind::Latency, "custom/send") };
    shop.simulator.fault(slow).expect("the simulator takes the fault");
    fill(&shop, users).await;
    shop
}

async fn stop_workers(shop: &mut Shop) {
    for worker in shop.stack.programs.drain(WORKER..) {
        worker.terminate();
        worker.end_within(Duration::from_secs(22)).await;
    }
}

/// A message of each of many users, whose openids begin so: as many in each partition, as in a backlog of many more.
async fn fill(shop: &Shop, users: &str) {
    let mut left = [BACKLOG / usize::from(PARTITIONS); PARTITIONS as usize];
    let users = (0..).map(|number| format!("{users}{number}")).filter(|user| {
        let partition = Partition::of(shop.appid(), &OpenId::new(user.clone()), PARTITIONS);
        let left = &mut left[usize::from(partition.index())];
        let is_wanted = *left > 0;
        *left -= usize::from(is_wanted);
        is_wanted
    });
    let pushes = users.take(BACKLOG).map(async |user| shop.push(&user, Message::text("hello")).await.answered);
    let answered: Vec<bool> = stream::iter(pushes).buffer_unordered(64).collect().await;
    assert!(answered.iter().all(|answered| *answered), "the backlog is whole");
}

/// How long so many workers take from the first reply until all of the backlog is replied to: how fast programs start is not
/// judged here. None of the workers is left.
async fn ends_the_backlog(shop: &mut Shop, workers: usize) -> Duration {
    let filter = Filter::delivered(shop.simulator.journal_last());
    let programs = join_all((0..workers).map(|_| Program::start(shop.stack.launch(WORKER))));
    let first = async {
        shop.simulator.journal_wait(&filter, 1, Duration::from_secs(60)).await;
        Instant::now()
    };
    let (programs, begun) = tokio::join!(programs, first);
    shop.stack.programs.extend(programs);
    let replies = shop.simulator.journal_wait(&filter, BACKLOG, Duration::from_secs(150)).await.len();
    let took = begun.elapsed();
    assert_eq!(replies, BACKLOG);
    stop_workers(shop).await;
    took
}

/// Waits until each of the workers works on as many messages at once as it may, or nearly.
async fn at_full_concurrency(shop: &Shop, workers: usize, within: Duration) {
    let nearly = CONCURRENCY * 9 / 10;
    let all_work = async || {
        let mut in_flight = Vec::new();
        for worker in &shop.stack.programs[WORKER..] {
            in_flight.push(worker.metric("kefu_worker_in_flight").await);
        }
        let sound = in_flight.len() == workers && in_flight.iter().all(|count| *count >= nearly as f64);
        if sound { Ok(()) } else { Err(format!("{in_flight:?} messages are in work")) }
    };
    eventually(within, &format!("{workers} workers at {CONCURRENCY} messages each"), all_work).await;
}
