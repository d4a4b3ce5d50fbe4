//! A broker that takes nothing for want of memory.

use kefu_harness::rabbitmq::RabbitMq;

use super::{Ingress, of_each};

/// Users who write at the same time.
const USERS: u32 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_success_and_not_stored_while_the_broker_has_no_memory() {
    let broker = RabbitMq::start_own().await;
    let (without_spool, with_spool) =
        tokio::join!(async { Ingress::start_on(broker.fresh_vhost().await, |options| options).await }, async {
            Ingress::start_on(broker.fresh_vhost().await, |all| all.with("ingress", "spool = \"spool\"")).await
        },);
    let push = async |number| {
        let (without, with) = (&without_spool.crowd, &with_spool.crowd);
        let reports = tokio::join!(without.push_all(of_each(USERS, number)), with.push_all(of_each(USERS, number)));
        println!("without a spool {}; with a spool {}", reports.0, reports.1);
        assert_eq!((reports.0.unanswered, reports.1.unanswered), (0, 0), "a push hangs");
        reports
    };
    broker.raise_memory_alarm().await;
    let (refused, spooled) = push(1).await;
    assert!(refused.accepted.is_empty(), "accepted, and there is nowhere to put it: {refused}");
    assert!(spooled.lost.is_empty(), "refused, with a spool: {spooled}");

    // With these, more have been given up than may wait for the broker at a time.
    for _ in 0..3 {
        let refused = without_spool.crowd.push_all(of_each(USERS, 1)).await;
        assert!(refused.accepted.is_empty() && refused.unanswered == 0, "{refused}");
    }

    // Those that come now wait, and the alarm ends before their time does, unless the machine is very busy.
    let ((waited, spooled_too), ()) = tokio::join!(push(2), async {
        without_spool.program.counts("kefu_ingress_pushes_under_way", USERS).await;
        broker.clear_memory_alarm().await;
    });
    let again = without_spool.crowd.push_as_wechat(waited.lost.clone()).await;
    let (accepted, spooled) = (waited.and(again), spooled.and(spooled_too));
    assert!(accepted.lost.is_empty() && spooled.lost.is_empty(), "the alarm is over: {accepted}; {spooled}");
    with_spool.program.counts("kefu_ingress_spool_state{state=\"direct\"}", 1).await;
    with_spool.program.counts("kefu_ingress_spool_messages", 0).await;
    without_spool.stored().await.has_all_of(&accepted).is_in_order(&accepted);
    with_spool.stored().await.has_all_of(&spooled).is_in_order(&spooled);
}
