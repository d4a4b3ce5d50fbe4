//! Clients that go away while their pushes are being published.

use std::time::Duration;

use kefu_harness::crowd::{Report, Written};
use kefu_harness::proxy::Way;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Ingress, of_each};

/// Users who write at the same time.
const USERS: u32 = 160;

/// With so many users, more clients go away than a channel may have publishes under way.
const ROUNDS: u32 = 7;

/// Less than a claim lasts: after that a copy is published, too.
const CLAIMED_FOR: Duration = Duration::from_millis(3_500);

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_client_went_away_is_stored_once_and_before_the_users_next() {
    let ingress = Ingress::start().await;
    let (mut all, mut is_exact) = (Report::default(), true);
    for round in 0..ROUNDS {
        let (first, second) = (2 * round + 1, 2 * round + 2);
        let stalled = Instant::now();
        ingress.to_broker.hold(Way::ToServer);
        leave(&ingress, of_each(USERS, first)).await;
        let begun = ingress.begun().await;
        let next = ingress.crowd.push_all(of_each(USERS, first).chain(of_each(USERS, second)));
        let (report, ()) = tokio::join!(next, async {
            ingress.has_begun(begun + USERS as usize).await;
            ingress.to_broker.release();
        });
        // On a very busy machine the claims are over by now, or could not be had: then there may be copies.
        is_exact &= stalled.elapsed() < CLAIMED_FOR && ingress.claims("unavailable").await == 0;
        assert!(report.lost.is_empty() || !is_exact, "refused: {report}");
        all = all.and(report);
        ingress.is_idle().await;
    }
    let stored = ingress.stored().await;
    stored.has_all_of(&all).is_in_order(&all);
    if is_exact {
        stored.has_no_copies();
    }
    println!("{all}; exact: {is_exact}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_were_given_up_while_the_broker_hangs_hold_nobody_up_after_it() {
    let ingress = Ingress::start().await;
    ingress.to_broker.hold(Way::ToServer);
    leave(&ingress, of_each(USERS, 1)).await;
    ingress.is_idle().await;
    ingress.to_broker.release();
    let report = ingress.crowd.push_all(of_each(USERS, 2)).await;
    assert!(report.lost.is_empty(), "refused: {report}");
    // Nobody was told that the first ones are stored; those that are come first.
    let all = Report { accepted: of_each(USERS, 1).chain(of_each(USERS, 2)).collect(), ..Report::default() };
    ingress.stored().await.has_all_of(&report).is_in_order(&all).has_no_copies();
}

/// Pushes messages, and has the clients go away once ingress is publishing all of them, which it cannot.
async fn leave(ingress: &Ingress, messages: impl Iterator<Item = Written>) {
    let before = ingress.begun().await;
    let mut clients = JoinSet::new();
    for message in messages {
        let crowd = ingress.crowd.clone();
        clients.spawn(async move { crowd.push(message).await });
    }
    ingress.has_begun(before + clients.len()).await;
    assert!(clients.try_join_next().is_none(), "a push was answered before it was stored");
    clients.shutdown().await;
}
