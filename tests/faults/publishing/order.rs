//! A user's order.

use kefu_harness::crowd::Report;
use kefu_harness::proxy::Way;
use tokio::task::JoinSet;

use super::{Ingress, of_each};

const USERS: u32 = 100;
const MESSAGES: u32 = 20;

/// How often the connection to the broker is cut meanwhile.
const CUTS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn all_users_messages_are_stored_in_order_while_the_connections_to_the_broker_are_cut() {
    let ingress = Ingress::start().await;
    let (report, ()) = tokio::join!(ingress.crowd.write(0..USERS, MESSAGES), async {
        for _ in 0..CUTS {
            ingress.crowd.accepts((USERS * MESSAGES) as usize / (CUTS + 2)).await;
            ingress.to_broker.cut();
        }
    });
    println!("{report}");
    assert!(report.lost.is_empty(), "WeChat gave messages up: {report}");
    assert!(ingress.to_broker.connections() > CUTS as u64, "a cut connection was not opened again");
    ingress.stored().await.has_all_of(&report).is_in_order(&report);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_users_who_do_not_wait_keep_their_order_when_the_connections_to_the_broker_are_cut() {
    const AT_ONCE: u32 = 4;
    let ingress = Ingress::start().await;
    ingress.to_broker.hold(Way::ToServer);
    let mut pushing = JoinSet::new();
    for number in 1..=AT_ONCE {
        let begun = ingress.begun().await;
        let crowd = ingress.crowd.clone();
        pushing.spawn(async move { crowd.push_all(of_each(USERS, number)).await });
        ingress.has_begun(begun + USERS as usize).await;
    }
    ingress.to_broker.cut();
    let report = pushing.join_all().await.into_iter().fold(Report::default(), Report::and);
    assert!(report.lost.is_empty(), "refused, though the broker is there: {report}");
    ingress.stored().await.has_all_of(&report).is_in_order(&report);
}
