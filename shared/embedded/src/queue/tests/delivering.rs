use super::*;

/// Nothing can be read before something changes.
fn is_quiet(queue: &Queue, prefetch: usize) -> bool {
    queue.queue.backlog.asks(prefetch, 100).is_empty()
}

#[tokio::test]
async fn a_users_messages_come_in_the_order_of_their_publishing() {
    let queue = Queue::open().await;
    for id in 0..50 {
        queue.publish("oAnna", [id]).await;
        queue.publish("oBert", [1_000 + id]).await;
    }
    let mut consumer = queue.consumer(10);
    let drained = drain(&mut consumer, 100).await;
    let of = |first| Vec::from_iter(drained.iter().map(|&(id, _)| id).filter(|&id| id / 1_000 == first));
    assert_eq!(of(0), Vec::from_iter(0..50));
    assert_eq!(of(1), Vec::from_iter(1_000..1_050));
    assert!(drained.iter().all(|&(_, redelivered)| !redelivered));
}

#[tokio::test]
async fn a_waiting_consumer_is_woken_by_a_publish() {
    let queue = Queue::open().await;
    let mut consumer = queue.consumer(10);
    let (delivery, ()) = tokio::join!(next(&mut consumer), queue.publish("oAnna", [1]));
    assert_eq!(id(&delivery), 1);
}

#[tokio::test]
async fn a_partition_has_no_more_outstanding_than_the_prefetch() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..3).await;
    let mut consumer = queue.consumer(2);
    let first = next(&mut consumer).await;
    let _second = next(&mut consumer).await;
    assert!(is_quiet(&queue, 2));
    first.settle(Settlement::Done).await.unwrap();
    let third = next(&mut consumer).await;
    assert_eq!(id(&third), 2);
    assert!(is_quiet(&queue, 2));
}

#[tokio::test]
async fn a_full_partition_does_not_hold_up_the_others() {
    let queue = Queue::open().await;
    let partition = |user: &str| envelope(user, 0).partition(4);
    let other = (0..).map(|n| format!("oUser{n}")).find(|user| partition(user) != partition("oAnna")).unwrap();
    queue.publish("oAnna", 0..5).await;
    let mut consumer = queue.consumer(1);
    let _held = next(&mut consumer).await;
    queue.publish(&other, [100]).await;
    assert_eq!(id(&next(&mut consumer).await), 100);
}

/// Publishes a message of `bytes` bytes.
async fn publish_large(queue: &Queue, user: &str, id: u32, bytes: usize) {
    let large = Envelope { v: 1, raw: Some("x".repeat(bytes)), ..envelope(user, id) };
    queue.publisher.publish(&large, Turn::unordered()).await.unwrap();
}

#[tokio::test]
async fn no_more_bytes_are_read_at_once_than_memory_is_meant_for() {
    let queue = Queue::open().await;
    for id in 0..10 {
        publish_large(&queue, "oAnna", id, consumer::MAX_READ_BYTES / 4).await;
    }
    let read = queue.database.change_soon(|transaction| {
        let mut bytes = consumer::MAX_READ_BYTES;
        let found = tables::read(transaction, envelope("oAnna", 0).partition(4), 0, 128, &mut bytes)?;
        Ok((found.rows.len(), found.all, bytes))
    });
    assert_eq!(read.unwrap(), (4, false, 0));
    let drained = drain(&mut queue.consumer(100), 10).await;
    assert_eq!(drained, Vec::from_iter((0..10).map(|id| (id, false))));
}

#[tokio::test]
async fn a_message_larger_than_what_is_read_at_once_is_delivered() {
    let queue = Queue::open().await;
    publish_large(&queue, "oAnna", 0, consumer::MAX_READ_BYTES + 1).await;
    queue.publish("oAnna", [1]).await;
    assert_eq!(drain(&mut queue.consumer(100), 2).await, [(0, false), (1, false)]);
}

#[tokio::test]
async fn partitions_with_large_messages_starve_no_other() {
    let queue = Queue::open().await;
    let partition = |user: &str| envelope(user, 0).partition(4);
    let of = |wanted: u16| {
        (0..).map(|n| format!("oUser{n}")).find(|user| partition(user) == Partition::from(wanted)).unwrap()
    };
    for wanted in [0, 2] {
        for id in 0..6 {
            publish_large(&queue, &of(wanted), id, consumer::MAX_READ_BYTES / 3).await;
        }
    }
    queue.publish(&of(1), [100]).await;
    queue.publish(&of(3), [300]).await;
    let ids = Vec::from_iter(drain(&mut queue.consumer(100), 14).await.into_iter().map(|(id, _)| id));
    let place = |id| ids.iter().position(|&other| other == id).unwrap();
    assert!(place(100) < 10 && place(300) < 10, "{ids:?}");
}

#[tokio::test]
async fn a_next_that_is_dropped_loses_nothing() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..20).await;
    let mut consumer = queue.consumer(3);
    let mut got = Vec::new();
    while got.len() < 20 {
        // Polled once, and dropped if that was not enough; the read continues behind it.
        let delivery = tokio::select! {
            biased;
            delivery = consumer.next() => delivery,
            () = tokio::task::yield_now() => None,
        };
        match delivery {
            Some(delivery) => {
                got.push(id(&delivery));
                delivery.settle(Settlement::Done).await.unwrap();
            }
            None => {
                let delivery = next(&mut consumer).await;
                got.push(id(&delivery));
                delivery.settle(Settlement::Done).await.unwrap();
            }
        }
    }
    assert_eq!(got, Vec::from_iter(0..20));
}

#[tokio::test]
async fn a_second_consumer_goes_on_where_the_first_was_closed() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..4).await;
    let mut first = queue.consumer(10);
    next(&mut first).await.settle(Settlement::Done).await.unwrap();
    let held = next(&mut first).await;
    let mut second = queue.consumer(10);
    let waiting = tokio::spawn(async move { drain(&mut second, 3).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());

    first.close().await;
    assert!(first.next().await.is_none());
    assert!(held.session.is_cancelled());
    assert!(matches!(held.settle(Settlement::Done).await, Err(QueueError::Stale)));
    assert_eq!(waiting.await.unwrap(), [(1, true), (2, false), (3, false)]);
}

#[tokio::test]
async fn a_consumer_that_is_dropped_gives_everything_back() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..2).await;
    let mut first = queue.consumer(10);
    let held = next(&mut first).await;
    drop(first);
    assert!(held.session.is_cancelled());
    assert_eq!(drain(&mut queue.consumer(10), 2).await, [(0, true), (1, false)]);
}

#[tokio::test]
async fn a_closed_publisher_takes_nothing_more() {
    let queue = Queue::open().await;
    queue.publish("oAnna", [0]).await;
    queue.publisher.close(MINUTE).await;
    assert!(matches!(
        queue.publisher.publish(&envelope("oAnna", 1), Turn::unordered()).await,
        Err(QueueError::Unavailable(_))
    ));
    assert!(matches!(queue.publisher.health(), kefu_runtime::health::Health::Down(_)));
    assert_eq!(queue.database.health(), kefu_runtime::health::Health::Up);
}
