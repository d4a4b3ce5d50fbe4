use super::*;

fn retry(after: Duration) -> Settlement {
    Settlement::Retry { after, error: "busy".to_owned() }
}

#[tokio::test]
async fn a_delivery_that_is_dropped_comes_again_in_its_place() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..4).await;
    let mut consumer = queue.consumer(3);
    next(&mut consumer).await.settle(Settlement::Done).await.unwrap();
    let dropped = next(&mut consumer).await;
    let later = next(&mut consumer).await;
    assert!(!later.session.is_cancelled());

    drop(dropped);
    assert!(later.session.is_cancelled());
    assert!(matches!(later.settle(Settlement::Done).await, Err(QueueError::Stale)));
    assert_eq!(drain(&mut consumer, 3).await, [(1, true), (2, true), (3, false)]);
}

#[tokio::test]
async fn a_settlement_that_nobody_waits_for_is_either_whole_or_given_back() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..2).await;
    let mut consumer = queue.consumer(10);
    drop(next(&mut consumer).await.settle(Settlement::Done));
    assert_eq!(drain(&mut consumer, 2).await, [(0, true), (1, false)]);
}

#[tokio::test]
async fn a_message_that_is_being_settled_is_not_handed_out_again() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..2).await;
    let mut consumer = queue.consumer(10);
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    let (settled, ()) = tokio::join!(first.settle(Settlement::Done), async { drop(second) });
    // Whichever came first: never both.
    let mut left = vec![1];
    match settled {
        Ok(()) => {}
        Err(QueueError::Stale) => left.insert(0, 0),
        Err(error) => panic!("{error}"),
    }
    let again = drain(&mut consumer, left.len()).await;
    assert_eq!(again, Vec::from_iter(left.into_iter().map(|id| (id, true))));
    assert!(queue.queue.backlog.asks(10, 10).is_empty());
}

#[tokio::test]
async fn a_retry_comes_at_the_tail_when_it_is_due_and_not_before() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..2).await;
    let mut consumer = queue.consumer(10);
    next(&mut consumer).await.settle(retry(MINUTE)).await.unwrap();
    let before = queue.database.clock().now_ms();
    let due_ms = queue.queue.backlog.next_due_ms().unwrap();
    assert!(due_ms <= before + 60_000 && due_ms > before + 50_000);
    queue.publish("oAnna", [2]).await;
    assert_eq!(drain(&mut consumer, 2).await, [(1, false), (2, false)]);

    queue.database.clock().advance(MINUTE);
    let delivery = next(&mut consumer).await;
    assert_eq!((id(&delivery), delivery.attempt, delivery.redelivered), (0, 1, false));
    delivery.settle(retry(Duration::from_millis(1))).await.unwrap();
    // Waits for it by itself.
    let delivery = next(&mut consumer).await;
    assert_eq!((id(&delivery), delivery.attempt), (0, 2));
    assert_eq!(queue.queue.backlog.next_due_ms(), None);
}

#[tokio::test]
async fn what_is_dropped_over_and_over_becomes_a_dead_letter_and_nothing_goes_with_it() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..3).await;
    let mut consumer = queue.consumer(10);
    for _ in 0..=consumer::GIVE_BACK_LIMIT {
        let (first, guilty, third) = (next(&mut consumer).await, next(&mut consumer).await, next(&mut consumer).await);
        assert_eq!([id(&first), id(&guilty), id(&third)], [0, 1, 2]);
        drop((guilty, first, third));
    }
    assert_eq!(drain(&mut consumer, 2).await, [(0, true), (2, true)]);
    let [letter] = &*queue.dead_letters().await else { panic!("not one letter") };
    assert_eq!((&letter.body, &*letter.history.reason), (&envelope("oAnna", 1).to_json(), "delivery_limit"));
    assert!(letter.history.last_error.contains("given back 21 times"), "{}", letter.history.last_error);
}

#[tokio::test]
async fn closing_consumers_uses_up_no_ones_deliveries() {
    let queue = Queue::open().await;
    queue.publish("oAnna", [0]).await;
    for _ in 0..consumer::GIVE_BACK_LIMIT + 5 {
        let mut consumer = queue.consumer(10);
        let held = next(&mut consumer).await;
        consumer.close().await;
        drop(held);
    }
    assert_eq!(drain(&mut queue.consumer(10), 1).await, [(0, true)]);
}

#[tokio::test]
async fn a_dead_letter_keeps_its_story() {
    let queue = Queue::open().await;
    queue.publish("oAnna", 0..2).await;
    let mut consumer = queue.consumer(10);
    next(&mut consumer).await.settle(retry(Duration::ZERO)).await.unwrap();
    next(&mut consumer).await.settle(Settlement::Done).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!((id(&delivery), delivery.attempt), (0, 1));
    let end = Settlement::Dead { reason: DeadReason::Exhausted, error: "45047: busy".to_owned() };
    delivery.settle(end).await.unwrap();

    let [letter] = &*queue.dead_letters().await else { panic!("not one letter") };
    assert_eq!(letter.body, envelope("oAnna", 0).to_json());
    assert_eq!(letter.partition.unwrap(), envelope("oAnna", 0).partition(4));
    assert_eq!(
        (&*letter.history.reason, &*letter.history.first_error, &*letter.history.last_error, letter.history.attempts),
        ("exhausted", "busy", "45047: busy", 2)
    );
    assert!(letter.history.first_seen_ms > Some(0) && letter.history.first_seen_ms <= letter.history.died_at_ms);
    assert!(queue.queue.backlog.asks(10, 10).is_empty());
}

#[tokio::test]
async fn a_row_that_is_no_envelope_can_be_buried() {
    let queue = Queue::open().await;
    let backlog = queue.queue.backlog.clone();
    let partition = Partition::from(2);
    let row = record::Record::new(partition, 7, b"{\"v\":1,\"secret\":true}".to_vec());
    let number = backlog.next_number();
    let append = |transaction: &_| {
        tables::append(transaction, number, &row);
        Ok(())
    };
    queue.database.change_soon(append).unwrap();
    backlog.appended(partition, number);

    let mut consumer = queue.consumer(10);
    let delivery = next(&mut consumer).await;
    assert!(delivery.envelope.is_err());
    assert_eq!(delivery.partition, partition);
    let end = Settlement::Dead { reason: DeadReason::Undecodable, error: "no envelope".to_owned() };
    delivery.settle(end).await.unwrap();
    assert_eq!(queue.dead_letters().await[0].history.reason, "undecodable");
}
