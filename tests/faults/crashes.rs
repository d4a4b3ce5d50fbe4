//! kill -9, again and again.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::process::Program;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Filter, Message};

use crate::rounds::rounds;
use crate::trial::{Trial, TrialOptions};

/// In a production stack.
const INGRESS: usize = 0;
const WORKER: usize = 1;

/// The machine being busy; a dead worker's lease is waited for, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a call takes in whose middle a worker is killed; less than its time limit.
const SLOW: u64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_ingress_is_killed() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    for _ in 0..rounds() {
        trial.accepts(30).await;
        trial.kill(INGRESS);
        trial.bring_back(INGRESS).await;
    }
    trial.accepts(30).await;
    trial.end("ingress killed").await.must_be_sound().must_be_in_time();
}

/// What a worker does when it is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Anything.
    Any,
    /// It asks for an access_token.
    FetchingToken,
    /// It has sent a reply, and waits for WeChat's answer.
    Sending,
    /// It has sent the first reply to a message, and not the second.
    BetweenSteps,
    /// It waits for the ledger: to claim a message, or to write a step down.
    WritingLedger,
    /// It has done all of its work, and no word of that has reached the queue.
    Settling,
}

const MOMENTS: [Moment; 6] = [
    Moment::Any,
    Moment::FetchingToken,
    Moment::Sending,
    Moment::BetweenSteps,
    Moment::WritingLedger,
    Moment::Settling,
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_only_ambiguous_steps_are_doubled_when_a_worker_is_killed_at_any_of_its_steps() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    for moment in MOMENTS.into_iter().cycle().take(rounds().max(MOMENTS.len())) {
        trial.delivers(30).await;
        kill_worker_at(&mut trial, moment).await;
        trial.bring_back(WORKER).await;
    }
    trial.end("worker killed").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}

async fn kill_worker_at(trial: &mut Trial, moment: Moment) {
    let calls =
        |path: &str| Filter { since: trial.simulator.journal_last(), path: Some(path.to_owned()), ..Filter::default() };
    match moment {
        Moment::Any => trial.kill(WORKER),
        Moment::FetchingToken => {
            let tokens = calls("stable_token");
            slow(trial, "stable_token", 1);
            let expire =
                FaultRequest { account: Some(trial.appid.clone()), ..FaultRequest::new(FaultKind::ExpireToken, "*") };
            trial.simulator.fault(expire).expect("it is a fault");
            reached(trial, &tokens).await;
            trial.kill(WORKER);
        }
        Moment::Sending => {
            let sends = calls("custom/send");
            slow(trial, "custom/send", 5);
            reached(trial, &sends).await;
            trial.kill(WORKER);
        }
        Moment::BetweenSteps => {
            // The first reply of some message; which one does not matter.
            let sends = calls("custom/send");
            reached(trial, &sends).await;
            trial.kill(WORKER);
        }
        Moment::WritingLedger => {
            trial.redis().stop_signal();
            // Claims time out by now, so the worker's writes wait as well.
            trial.accepts(5).await;
            trial.kill(WORKER);
            trial.redis().cont_signal();
        }
        Moment::Settling => {
            trial.broker().stop_signal();
            trial.stack.programs[WORKER].counts("kefu_worker_lanes", 0).await;
            trial.kill(WORKER);
            trial.broker().cont_signal();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_whose_upload_is_cut_off_by_a_kill_arrives_once() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    for round in 0..rounds() {
        let user = format!("oPainter{round}");
        // WeChat has forgotten the picture: it is uploaded again.
        shop.simulator.fault(FaultRequest::errcode("custom/send", 40007, 1)).expect("it is a fault");
        let slow = FaultRequest { latency_ms: Some(SLOW), ..FaultRequest::new(FaultKind::Latency, "media/upload") };
        shop.simulator.fault(slow).expect("it is a fault");
        let uploads = shop.calls("media/upload").len();
        assert!(shop.push(&user, Message::text("the code, please")).await.answered);
        eventually(PATIENCE, "the picture is being uploaded", async || {
            match shop.calls("media/upload").len() > uploads {
                true => Ok(()),
                false => Err("it is not"),
            }
        })
        .await;
        shop.stack.programs[WORKER].kill();
        shop.stack.programs[WORKER] = Program::start(shop.stack.launch(WORKER)).await;
        shop.replies_within(&user, 2).await;
    }
}

fn slow(trial: &Trial, path: &str, times: u32) {
    let fault = FaultRequest { times, latency_ms: Some(SLOW), ..FaultRequest::new(FaultKind::Latency, path) };
    trial.simulator.fault(fault).expect("it is a fault");
}

async fn reached(trial: &Trial, calls: &Filter) {
    let seen = trial.simulator.journal_wait(calls, 1, Duration::from_secs(60)).await;
    assert!(!seen.is_empty(), "no such call: {calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_rabbitmq_is_killed() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    for _ in 0..rounds() {
        trial.accepts(30).await;
        trial.broker().kill();
        trial.broker().restart().await;
    }
    trial.accepts(30).await;
    trial.end("RabbitMQ killed").await.must_be_sound().must_be_in_time();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_redis_is_killed() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Production)).await;
    for _ in 0..rounds() {
        trial.delivers(30).await;
        trial.redis().kill();
        trial.accepts(10).await;
        trial.redis().restart().await;
    }
    trial.delivers(30).await;
    trial.end("Redis killed").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_an_embedded_kefu_is_killed() {
    let mut trial = Trial::start(TrialOptions::new(Backend::Embedded)).await;
    for _ in 0..rounds() {
        trial.delivers(30).await;
        trial.kill(0);
        trial.bring_back(0).await;
    }
    trial.accepts(30).await;
    trial.end("kefu serve killed").await.must_be_sound().must_be_in_time();
}
