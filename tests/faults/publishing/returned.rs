//! Messages that the broker has no queue for.

use std::time::Duration;

use kefu_harness::crowd::Report;
use kefu_harness::eventually;
use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::{Ingress, PARTITIONS, PATIENCE, UNROUTED};

/// Users who write at the same time, and how many messages each of them that has a queue.
const USERS: u32 = 700;
const MESSAGES: u32 = 8;

/// The partition whose queue is unbound, and the one whose queue is deleted.
const UNBOUND: &str = "p00";
const DELETED: &str = "p01";

/// How often it is unbound: a publisher that declares its queues again undoes it.
const AGAIN: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_answered_success_and_not_kept_when_the_broker_has_no_queue_for_it() {
    let ingress = Ingress::start().await;
    let connection = Connection::connect(&ingress.vhost.url(), ConnectionProperties::default()).await;
    let connection = connection.expect("the virtual host takes connections");
    let channel = connection.create_channel().await.expect("a connection gives channels");
    for (unrouted_is_there, first) in [(true, 100), (false, 200)] {
        if !unrouted_is_there {
            delete(&channel, UNROUTED).await;
        }
        // It is empty: what is on it would go with it.
        delete(&channel, &format!("kefu.in.{DELETED}")).await;
        let report = tokio::select! {
            report = all_write(&ingress, first) => report,
            never = unbinds_again_and_again(&channel) => never,
        };
        let stored = ingress.stored().await;
        let kept = stored.on(UNROUTED).len();
        println!("{report}; {kept} on kefu.unrouted, which is there: {unrouted_is_there}");
        stored.has_all_of(&report);
        assert_eq!(report.unanswered, 0, "a push hangs");

        queues_are_declared_again(&ingress).await;
        let again = ingress.crowd.push_as_wechat(hit(&ingress).map(|user| (user, first - 1))).await;
        assert!(again.lost.is_empty(), "refused, though the queues are there: {again}");
        let stored = ingress.stored().await;
        stored.has_all_of(&again);
        assert_eq!(stored.on(UNROUTED), [], "though the queues are there");
    }
}

/// The users whose queue is unbound or deleted.
fn hit(ingress: &Ingress) -> impl Iterator<Item = u32> {
    (0..USERS).filter(|user| [UNBOUND, DELETED].contains(&ingress.partition(*user).as_str()))
}

/// All users write at the same time; those whose queue is gone go on until the others are done.
async fn all_write(ingress: &Ingress, first: u32) -> Report {
    let done = CancellationToken::new();
    let hit: Vec<u32> = hit(ingress).collect();
    let others: Vec<u32> = (0..USERS).filter(|user| !hit.contains(user)).collect();
    let (of_hit, of_others) = tokio::join!(
        async {
            let mut report = Report::default();
            for number in (first..).take_while(|_| !done.is_cancelled()) {
                report = report.and(ingress.crowd.push_all(hit.iter().map(|user| (*user, number))).await);
            }
            report
        },
        async {
            let mut report = Report::default();
            for number in first..first + MESSAGES {
                report = report.and(ingress.crowd.push_all(others.iter().map(|user| (*user, number))).await);
            }
            done.cancel();
            report
        },
    );
    of_hit.and(of_others)
}

async fn delete(channel: &Channel, queue: &str) {
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("an operator may");
}

async fn unbinds_again_and_again(channel: &Channel) -> ! {
    let queue = format!("kefu.in.{UNBOUND}");
    let mut turns = interval(AGAIN);
    loop {
        turns.tick().await;
        let (queue, exchange) = (queue.as_str().into(), "kefu.in".into());
        let unbound = channel.queue_unbind(queue, exchange, UNBOUND.into(), FieldTable::default()).await;
        unbound.expect("an operator may");
    }
}

/// Has ingress connect again, and waits until it has declared everything again.
async fn queues_are_declared_again(ingress: &Ingress) {
    ingress.to_broker.cut();
    eventually(PATIENCE, "the queues are declared again", async || {
        let bound = (ingress.vhost.bound_to("kefu.in").await.len(), ingress.vhost.bound_to(UNROUTED).await.len());
        if bound == (usize::from(PARTITIONS), 1) { Ok(()) } else { Err(format!("{bound:?} are")) }
    })
    .await;
}
