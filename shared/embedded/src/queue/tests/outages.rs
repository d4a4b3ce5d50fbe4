use super::*;
use crate::testing::Disk;

/// A queue on a disk that fails on demand.
async fn on_a_disk() -> (Disk, Queue) {
    let (folder, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let database = disk.open(folder.path());
    (disk, Queue::on(folder, database).await)
}

/// Publishes until it works.
async fn publish_at_last(queue: &Queue, id: u32) {
    let tries = async {
        while queue.publisher.publish(&envelope("oAnna", id), Turn::unordered()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), tries).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_blocks_publishing_until_there_is_room() {
    let (disk, queue) = on_a_disk().await;
    let mut consumer = queue.consumer(10);
    queue.publish("oAnna", [0]).await;
    disk.set_full(true);
    assert!(matches!(
        queue.publisher.publish(&envelope("oAnna", 1), Turn::unordered()).await,
        Err(QueueError::Blocked(_))
    ));
    disk.set_full(false);
    publish_at_last(&queue, 2).await;
    assert_eq!(drain(&mut consumer, 2).await, [(0, false), (2, false)]);
}

#[tokio::test]
async fn what_is_published_after_a_failed_commit_that_the_consumer_has_looked_behind_is_delivered() {
    let (disk, queue) = on_a_disk().await;
    let mut consumer = queue.consumer(10);
    queue.publish("oAnna", [0]).await;
    assert_eq!(drain(&mut consumer, 1).await, [(0, false)]);
    disk.fail_next_sync();
    queue.publisher.publish(&envelope("oAnna", 1), Turn::unordered()).await.unwrap_err();
    assert_eq!(drain(&mut consumer, 1).await, [(1, false)]);
    // Nothing else takes a number in between.
    queue.publish("oAnna", [2]).await;
    assert_eq!(drain(&mut consumer, 1).await, [(2, false)]);
}

#[tokio::test]
async fn a_message_whose_settlement_failed_is_delivered_again() {
    let (disk, queue) = on_a_disk().await;
    queue.publish("oAnna", 0..2).await;
    let mut consumer = queue.consumer(10);
    let first = next(&mut consumer).await;
    disk.set_full(true);
    assert!(matches!(first.settle(Settlement::Done).await, Err(QueueError::Blocked(_))));
    disk.set_full(false);
    publish_at_last(&queue, 2).await;
    assert_eq!(drain(&mut consumer, 3).await, [(0, true), (1, false), (2, false)]);
}

#[tokio::test]
async fn a_publish_that_was_stored_and_reported_an_error_is_delivered() {
    let (disk, queue) = on_a_disk().await;
    let mut consumer = queue.consumer(10);
    queue.publish("oAnna", [0]).await;
    disk.fail_next_sync();
    queue.publisher.publish(&envelope("oAnna", 1), Turn::unordered()).await.unwrap_err();
    assert_eq!(drain(&mut consumer, 2).await, [(0, false), (1, false)]);
}

#[tokio::test]
async fn a_consumer_goes_on_when_a_disk_that_was_gone_is_back() {
    let (disk, queue) = on_a_disk().await;
    let mut consumer = queue.consumer(10);
    queue.publish("oAnna", [0]).await;
    disk.set_gone(true);
    queue.publisher.publish(&envelope("oAnna", 1), Turn::unordered()).await.unwrap_err();
    let mut waiting = Box::pin(next(&mut consumer));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("read from a disk that is gone"),
        () = tokio::task::yield_now() => {}
    }
    disk.set_gone(false);
    assert_eq!(id(&waiting.await), 0);
}
