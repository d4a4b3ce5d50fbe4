//! Several consumers on RabbitMQ 4.0: they share the partitions, and order holds while partitions change hands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use kefu_harness::eventually;
use kefu_messages::partition::Partition;
use kefu_queue::rabbitmq::{Settings, consumer};
use kefu_queue::{Consumer, ConsumerOptions, Settlement};
use lapin::options::QueueDeleteOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{PATIENCE, number, publish, user};
use super::{OnRabbitMq, on_a_server, publisher, up};

/// Enough that each of two consumers has some with certainty: which ones is the same in every run.
const PARTITIONS: u16 = 16;

/// Who handled which message of whom, and whether the broker took the settlement.
type Journal = Arc<Mutex<Vec<(&'static str, String, u32, bool)>>>;

#[tokio::test(flavor = "multi_thread")]
async fn each_message_goes_to_one_of_the_consumers_that_share_the_partitions() {
    const EACH: u32 = 20;
    let queue = on_a_server().await;
    let publisher = publisher(&settings(&queue)).unwrap();
    let journal = Journal::default();
    let (a, b) = (worker(&queue, "a", &journal).await, worker(&queue, "b", &journal).await);
    let users: Vec<_> = (0..40).map(|index| user(index % 4, usize::from(index))).collect();
    join_all(users.iter().map(|user| publish(&publisher, user, 1..=EACH))).await;
    handled(&journal, users.len() * EACH as usize).await;
    a.leave().await;
    b.leave().await;
    check(&journal, users.len(), EACH);
    let journal = journal.lock().unwrap();
    for id in ["a", "b"] {
        assert!(journal.iter().any(|(by, ..)| *by == id), "{id} had nothing to do");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_holds_while_partitions_change_hands() {
    const EACH: u32 = 100;
    let queue = on_a_server().await;
    let publisher = publisher(&settings(&queue)).unwrap();
    let journal = Journal::default();
    let users: Vec<_> = (0..40).map(|index| user(index % 4, usize::from(index))).collect();
    let all = users.len() * EACH as usize;
    let changes = async {
        let a = worker(&queue, "a", &journal).await;
        handled(&journal, all / 6).await;
        let b = worker(&queue, "b", &journal).await;
        handled(&journal, all / 3).await;
        a.leave().await;
        handled(&journal, all / 2).await;
        let c = worker(&queue, "c", &journal).await;
        handled(&journal, all * 2 / 3).await;
        b.crash().await;
        handled(&journal, all).await;
        c.leave().await;
    };
    tokio::join!(join_all(users.iter().map(|user| publish(&publisher, user, 1..=EACH))), changes);
    check(&journal, users.len(), EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_on_partitions_beyond_the_configured_ones_is_consumed_too() {
    const EACH: u32 = 3;
    let queue = on_a_server().await;
    let publisher = publisher(&settings(&queue)).unwrap();
    let users: Vec<_> = (0..40).map(|index| user(index % 4, usize::from(index))).collect();
    join_all(users.iter().map(|user| publish(&publisher, user, 1..=EACH))).await;
    let journal = Journal::default();
    let fewer = Settings { partitions: 3, ..settings(&queue) };
    let (a, b) = (worker_with(&fewer, "a", &journal).await, worker_with(&fewer, "b", &journal).await);
    handled(&journal, users.len() * EACH as usize).await;

    let connections = connections(&queue).await;
    let channel = queue.channel().await;
    for partition in (3..PARTITIONS).rev() {
        let name = format!("kefu.in.{}", Partition::from(partition));
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
    }
    let publisher = super::publisher(&fewer).unwrap();
    join_all(users.iter().map(|user| publish(&publisher, user, EACH + 1..=2 * EACH))).await;
    handled(&journal, users.len() * 2 * EACH as usize).await;
    assert!(
        connections.is_subset(&self::connections(&queue).await),
        "a worker lost its connection over a deleted queue"
    );
    a.leave().await;
    b.leave().await;
    check(&journal, users.len(), 2 * EACH);
}

/// The broker's names of kefu's connections.
async fn connections(queue: &OnRabbitMq) -> BTreeSet<String> {
    let listed = queue.vhost.broker().rabbitmqctl(&["list_connections", "vhost", "pid"]).await;
    let of_vhost =
        listed.lines().filter_map(|line| line.split_once('\t').filter(|(vhost, _)| *vhost == queue.vhost.name()));
    of_vhost.map(|(_, pid)| pid.to_owned()).collect()
}

fn settings(queue: &OnRabbitMq) -> Settings {
    Settings { partitions: PARTITIONS, ..queue.settings() }
}

struct Worker {
    stop: CancellationToken,
    task: JoinHandle<Box<dyn Consumer>>,
}

impl Worker {
    /// Ends as a worker does: finishes what it is at, gives back the rest.
    async fn leave(self) {
        self.stop.cancel();
        self.task.await.unwrap().close().await;
    }

    /// Ends in the middle of its work, without a word.
    async fn crash(self) {
        self.task.abort();
        self.task.await.err();
    }
}

/// Handles messages one by one.
async fn worker(queue: &OnRabbitMq, id: &'static str, journal: &Journal) -> Worker {
    worker_with(&settings(queue), id, journal).await
}

async fn worker_with(settings: &Settings, id: &'static str, journal: &Journal) -> Worker {
    let mut consumer = consumer(settings, ConsumerOptions { id: id.into(), prefetch: 20, seat: None }).unwrap();
    up(|| consumer.health()).await;
    let (stop, journal) = (CancellationToken::new(), journal.clone());
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        loop {
            let delivery = tokio::select! {
                delivery = consumer.next() => delivery.unwrap(),
                () = stopped.cancelled() => return consumer,
            };
            let from = delivery.envelope.as_ref().unwrap().push.from_user.as_str().to_owned();
            let number = number(&delivery);
            let entry = {
                let mut journal = journal.lock().unwrap();
                journal.push((id, from, number, false));
                journal.len() - 1
            };
            let settled = delivery.settle(Settlement::Done).await.is_ok();
            journal.lock().unwrap()[entry].3 = settled;
        }
    });
    Worker { stop, task }
}

/// Waits until so many different messages are handled.
async fn handled(journal: &Journal, count: usize) {
    eventually(PATIENCE, "the messages are handled", async || {
        let mut different: Vec<_> = journal.lock().unwrap().iter().map(|(_, from, n, _)| (from.clone(), *n)).collect();
        different.sort();
        different.dedup();
        if different.len() >= count { Ok(()) } else { Err(different.len()) }
    })
    .await;
}

/// Every message of every user was handled, for the first time in order, and nothing whose settlement was taken was
/// handled again after it.
fn check(journal: &Journal, users: usize, each: u32) {
    let mut first: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let journal = journal.lock().unwrap();
    for (index, (by, from, number, _)) in journal.iter().enumerate() {
        let seen = first.entry(from).or_default();
        if seen.contains(number) {
            let before =
                journal[..index].iter().filter(|(_, other, n, settled)| other == from && n == number && *settled);
            assert_eq!(before.count(), 0, "{by} had {number} of {from} again after it was settled");
        } else {
            seen.push(*number);
        }
    }
    assert_eq!(first.len(), users);
    for (from, numbers) in first {
        assert_eq!(numbers, Vec::from_iter(1..=each), "of {from}");
    }
}
