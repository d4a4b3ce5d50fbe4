//! Connections to the broker that end with a thousand publishes under way.

use kefu_harness::proxy::Way;
use kefu_harness::rabbitmq::RabbitMq;

use super::{Ingress, of_each};

/// Users who write at the same time.
const USERS: u32 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn publishes_under_way_when_the_broker_closes_the_connection_are_stored_and_answered() {
    let ingress = Ingress::start().await;
    // What is under way is stored and not confirmed, or it is not stored.
    for (number, way) in [(1, Way::ToProgram), (2, Way::ToServer)] {
        ingress.to_broker.hold(way);
        let begun = ingress.begun().await;
        let (report, ()) = tokio::join!(ingress.crowd.push_all(of_each(USERS, number)), async {
            ingress.has_begun(begun + USERS as usize).await;
            ingress.vhost.close_all_connections().await;
            // What was held up is lost.
            ingress.to_broker.cut();
        });
        println!("{way:?}: {}", report);
        // All of them, unless the machine is very busy.
        assert!(
            report.accepted.len() > USERS as usize / 2,
            "they were not answered when the broker was back: {report}"
        );
        let again = ingress.crowd.push_as_wechat(report.lost.clone()).await;
        let report = report.and(again);
        assert!(report.lost.is_empty(), "refused, though the broker is back: {report}");
        ingress.stored().await.has_all_of(&report).is_in_order(&report);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_under_way_when_the_broker_is_killed_are_stored_or_not_accepted() {
    let mut broker = RabbitMq::start_own().await;
    let ingress = Ingress::start_on(broker.fresh_vhost().await, |options| options).await;
    broker.write_queue_names_down().await;
    let (report, ()) = tokio::join!(ingress.crowd.write(0..USERS, 3), async {
        ingress.crowd.accepts(USERS as usize).await;
        broker.kill();
        broker.restart().await;
    });
    println!("{report}");
    assert_eq!(report.unanswered, 0, "a push hangs");
    assert!(report.lost.is_empty(), "refused, though the broker is back: {report}");
    ingress.stored().await.has_all_of(&report).is_in_order(&report);
}
