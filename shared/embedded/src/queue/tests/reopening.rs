use super::*;

#[tokio::test]
async fn everything_that_is_not_settled_is_there_after_reopening() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..5).await;
    let mut consumer = queue.consumer(10);
    next(&mut consumer).await.settle(Settlement::Done).await.unwrap();
    let later = Settlement::Retry { after: MINUTE, error: "busy".to_owned() };
    next(&mut consumer).await.settle(later).await.unwrap();
    let end = Settlement::Dead { reason: DeadReason::Refused, error: "refused".to_owned() };
    next(&mut consumer).await.settle(end).await.unwrap();
    drop(next(&mut consumer).await);
    drop(consumer);

    let queue = Queue::reopen(queue.close().await).await;
    queue.publish("oAnna", [5]).await;
    let mut consumer = queue.consumer(10);
    assert_eq!(drain(&mut consumer, 3).await, [(3, true), (4, true), (5, false)]);
    assert_eq!(queue.dead_letters().await.len(), 1);
    queue.database.clock().advance(MINUTE);
    assert_eq!(drain(&mut consumer, 1).await, [(1, false)]);
}

#[tokio::test]
async fn all_partitions_are_found_whatever_their_number_was() {
    let queue = Queue::open().await;
    let wide = queue.queue.publisher(1_000);
    for n in 0..20 {
        wide.publish(&envelope(&format!("oUser{n}"), n), Turn::unordered()).await.unwrap();
    }
    drop(wide);
    let queue = Queue::reopen(queue.close().await).await;
    let mut ids = Vec::from_iter(drain(&mut queue.consumer(10), 20).await.into_iter().map(|(id, _)| id));
    ids.sort_unstable();
    assert_eq!(ids, Vec::from_iter(0..20));
}
