//! The way of pushes to the queue while thousands of them are under way and something breaks: no `success` without a stored
//! message, and the order of each user.
//!
//! There is no worker: what is on the queues in the end is held against what was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use kefu_harness::crowd::{Crowd, Report, Written};
use kefu_harness::eventually;
use kefu_harness::folder::Folder;
use kefu_harness::process::{Launch, Program, Role};
use kefu_harness::proxy::Proxy;
use kefu_harness::rabbitmq::{RabbitMq, Taken, Vhost};
use kefu_harness::redis::RedisServer;
use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::wechat::{Account, Client, Mode};
use kefu_messages::partition::Partition;
use kefu_wechat::openid::OpenId;

mod claims;
mod leaving;
mod lost_connections;
mod memory_alarm;
mod order;
mod returned;

const PARTITIONS: u16 = 16;

/// Where RabbitMQ keeps what has no queue.
const UNROUTED: &str = "kefu.unrouted";

/// How long something may take to happen, the machine being busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a shutdown may take: `[ingress] grace_ms` as it is by default, and some for the end of the process.
const GRACE: Duration = Duration::from_secs(12);

/// `kefu-ingress` with a proxy before each of its servers.
struct Ingress {
    program: Program,
    account: Account,
    pushes: Client,
    crowd: Crowd,
    to_broker: Proxy,
    to_redis: Proxy,
    vhost: Vhost,
    _redis: RedisServer,
    config: PathBuf,
    _folder: Folder,
}

impl Ingress {
    /// On the RabbitMQ that all tests share.
    async fn start() -> Self {
        Self::start_on(RabbitMq::vhost().await, |options| options).await
    }

    /// On this virtual host, with other options.
    async fn start_on(vhost: Vhost, change: impl FnOnce(StackOptions) -> StackOptions) -> Self {
        let redis = RedisServer::start().await;
        let (to_broker, to_redis) = (Proxy::to(&vhost.url()).await, Proxy::to(&redis.url()).await);
        let account = Account::random(Mode::Plain);
        let options = StackOptions::new(Backend::Production, vec![account.clone()], "http://127.0.0.1:9");
        let options = change(options.with("queue", format!("partitions = {PARTITIONS}")));
        let folder = Folder::new("publishing");
        let config = folder.write("kefu.toml", options.config(to_broker.url(), to_redis.url()));
        let program = Program::start(Launch::ingress(&config)).await;
        let pushes = Client::new(program.url(Role::Public));
        let crowd = Crowd::new(account.clone(), pushes.clone());
        // With a spool, ingress is ready before RabbitMQ has all of its queues.
        program.says("/readyz", 200, &["\"ingress_queue\":\"up\"", "\"ingress_store\":\"up\""]).await;
        Self { program, account, pushes, crowd, to_broker, to_redis, vhost, _redis: redis, config, _folder: folder }
    }

    /// SIGKILL, and another process in its place.
    async fn crash(&mut self) {
        self.program.kill();
        self.start_again().await;
    }

    /// SIGTERM, and another process in its place.
    async fn restart(&mut self) {
        self.program.terminate();
        let (status, output) = self.start_again().await.end_within(GRACE).await;
        assert!(status.success(), "{status}:\n{output}");
    }

    /// Starts another process; gives the one before.
    async fn start_again(&mut self) -> Program {
        let next = Program::start(Launch::ingress(&self.config)).await;
        self.pushes = Client::new(next.url(Role::Public));
        self.crowd = Crowd::new(self.account.clone(), self.pushes.clone());
        std::mem::replace(&mut self.program, next)
    }

    /// The name of the partition of a user of the crowd.
    fn partition(&self, user: u32) -> String {
        Partition::of(&self.account.appid, &OpenId::new(Crowd::openid(user)), PARTITIONS).to_string()
    }

    /// Waits until this many pushes have got as far as to be published.
    async fn has_begun(&self, count: usize) {
        eventually(PATIENCE, &format!("{count} pushes are being published"), async || {
            let begun = self.begun().await;
            if begun >= count { Ok(()) } else { Err(format!("{begun} are")) }
        })
        .await;
    }

    /// How many pushes have got so far. Without a claim they are published all the same.
    async fn begun(&self) -> usize {
        self.claims("won").await + self.claims("unavailable").await
    }

    /// How many claims had this outcome. `unavailable`: Redis was too slow for a burst, on a busy machine.
    async fn claims(&self, outcome: &str) -> usize {
        self.program.metric(&format!("kefu_ingress_claims_total{{outcome=\"{outcome}\"}}")).await as usize
    }

    /// Waits until it works on no push any more, given up ones included.
    async fn is_idle(&self) {
        self.program.counts("kefu_ingress_pushes_under_way", 0).await;
    }

    /// Takes everything off the queues: each queue, with its messages in their order.
    async fn take_all(&self) -> Vec<(String, Vec<Taken>)> {
        let partitions = Partition::all(PARTITIONS).map(|partition| format!("kefu.in.{partition}"));
        let mut taken = Vec::new();
        for queue in partitions.chain([UNROUTED.to_owned()]) {
            let messages = self.vhost.take_all(&queue).await;
            taken.push((queue, messages));
        }
        taken
    }

    /// Takes the crowd's messages off the queues.
    async fn stored(&self) -> Stored {
        let mut stored = Stored::default();
        for (queue, messages) in self.take_all().await {
            let messages = messages.iter().map(|message| {
                let envelope = serde_json::from_slice(&message.body).expect("an envelope is JSON");
                let written = Crowd::written(&envelope);
                assert_eq!(message.key, self.partition(written.0), "a message of another partition");
                written
            });
            stored.queues.insert(queue, messages.collect());
        }
        stored
    }
}

/// A message of each of so many users.
fn of_each(users: u32, number: u32) -> impl Iterator<Item = Written> {
    (0..users).map(move |user| (user, number))
}

/// What was on the queues, each queue in its order.
#[derive(Debug, Default)]
struct Stored {
    queues: BTreeMap<String, Vec<Written>>,
}

impl Stored {
    fn all(&self) -> impl Iterator<Item = Written> {
        self.queues.values().flatten().copied()
    }

    fn on(&self, queue: &str) -> &[Written] {
        self.queues.get(queue).map_or(&[], Vec::as_slice)
    }

    /// Everything that was answered `success` is there.
    fn has_all_of(&self, report: &Report) -> &Self {
        let stored: BTreeSet<Written> = self.all().collect();
        let missing: Vec<_> = report.accepted.difference(&stored).collect();
        assert!(
            missing.is_empty(),
            "{} of {} messages were answered `success` and are not stored: {:?}",
            missing.len(),
            report.accepted.len(),
            &missing[..missing.len().min(5)]
        );
        assert!(!report.accepted.is_empty(), "nothing was accepted");
        self
    }

    /// The first copies of what was answered `success` are in each user's order. What was refused may come at any time.
    fn is_in_order(&self, report: &Report) -> &Self {
        for (queue, messages) in &self.queues {
            let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
            for &(user, number) in messages.iter().filter(|message| report.accepted.contains(message)) {
                if seen.insert((user, number)) {
                    let before = last.insert(user, number);
                    assert!(before < Some(number), "{user}: message {number} came after {before:?} on {queue}");
                }
            }
        }
        self
    }

    /// Nothing is there twice.
    fn has_no_copies(&self) -> &Self {
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = self.all().filter(|message| !seen.insert(*message)).collect();
        assert!(twice.is_empty(), "stored twice: {twice:?}");
        self
    }
}
