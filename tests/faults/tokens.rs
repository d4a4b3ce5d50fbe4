//! Many processes that need a new access_token at the same moment.

use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Filter};

use crate::trial::{Trial, TrialOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sends_of_four_workers_that_meet_40001_at_once_fetch_one_token() {
    // The users write within two thirds of a second. Some of their sends come in between the two faults below.
    let options = TrialOptions { users: 130, rate: 200.0, ..TrialOptions::new(Backend::Production) };
    let mut trial = Trial::start(options).await;
    for _ in 0..3 {
        trial.add_worker().await;
    }
    trial.delivers(100).await;
    let since = trial.simulator.journal_last();
    let fetches = Filter { since, path: Some("stable_token".to_owned()), ..Filter::default() };
    // All sends under way, one of each user, wait for WeChat's answer.
    let slow =
        FaultRequest { times: 130, latency_ms: Some(1_000), ..FaultRequest::new(FaultKind::Latency, "custom/send") };
    trial.simulator.fault(slow).expect("it is a fault");
    let invalid =
        FaultRequest { account: Some(trial.appid.clone()), ..FaultRequest::new(FaultKind::InvalidateToken, "*") };
    trial.simulator.fault(invalid).expect("it is a fault");
    let refused = Filter { since, path: Some("custom/send".to_owned()), delivered: Some(false), ..Filter::default() };
    trial.delivers(100).await;
    let (fetched, refused) = (trial.simulator.journal(&fetches).len(), trial.simulator.journal(&refused).len());
    println!("{refused} sends were refused with 40001, {fetched} token was fetched");
    assert!(refused >= 100, "{refused} sends met the old token");
    assert_eq!(fetched, 1);
    trial.end("40001 at once").await.must_be_sound().must_be_in_time().must_all_be_accepted();
}
