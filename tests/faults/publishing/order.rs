//! A user's order.

use super::Ingress;

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
