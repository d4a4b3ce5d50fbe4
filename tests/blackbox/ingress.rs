//! The real `kefu-ingress` with a real Redis and RabbitMQ, and no worker: what is answered, and what is stored.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::folder::Folder;
use kefu_harness::process::{Launch, Program, Role};
use kefu_harness::rabbitmq::{RabbitMq, Vhost};
use kefu_harness::redis::RedisServer;
use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::wechat::{Account, Answer, Client, Mode, PushRequest};
use redis::aio::MultiplexedConnection;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

mod answers;
mod bad_bodies;
mod bad_ciphertexts;
mod bad_queries;
mod compat;
mod good_pushes;
mod large_bodies;
mod open_files;
mod second_copies;
mod slashes;
mod slow_readers;
mod slow_requests;
mod spool;
mod stale;
mod trifles;
mod unreadable;
mod verification;

/// How long until messages are seen on their queues: RabbitMQ's own command says so, and takes its time to start.
const STORED: Duration = Duration::from_secs(120);

const USER: &str = "oUSER0123456789abcdefghijkl";

/// An ingress and its servers. When it is dropped, all pushes that it took must have been read: `success` alone does not say
/// that.
struct Ingress {
    program: Program,
    pushes: Client,
    vhost: Vhost,
    redis: RedisServer,
    folder: Folder,
    /// How many pushes it is to have taken that it could not read.
    unreadable: Cell<u32>,
}

impl Ingress {
    async fn start(accounts: &[&Account]) -> Self {
        let accounts = accounts.iter().map(|&account| account.clone()).collect();
        Self::start_with(StackOptions::new(Backend::Production, accounts, "http://127.0.0.1:9")).await
    }

    /// With an account of each mode.
    async fn in_every_mode() -> (Self, [Account; 3]) {
        let accounts = Mode::ALL.map(Account::random);
        (Self::start(&accounts.each_ref()).await, accounts)
    }

    /// With one account.
    async fn in_mode(mode: Mode) -> (Self, Account) {
        let account = Account::random(mode);
        (Self::start(&[&account]).await, account)
    }

    async fn start_with(options: StackOptions) -> Self {
        Self::start_as(options, |launch| launch).await
    }

    /// The same, in another way than users usually start it.
    async fn start_as(options: StackOptions, change: impl FnOnce(Launch) -> Launch) -> Self {
        let (redis, vhost) = tokio::join!(RedisServer::start(), RabbitMq::vhost());
        let options = options.with("queue", "partitions = 4");
        let folder = Folder::new("ingress");
        let config = folder.write("kefu.toml", options.config(&vhost.url(), &redis.url()));
        let program = Program::start(change(Launch::ingress(&config))).await;
        let pushes = Client::new(program.url(Role::Public));
        Self { program, pushes, vhost, redis, folder, unreadable: Cell::default() }
    }

    /// Waits until exactly this many messages are on the partitions.
    async fn stores(&self, expected: u64) {
        let what = format!("{expected} messages are stored");
        eventually(STORED, &what, async || {
            let depths = self.vhost.depths().await;
            let partitions = depths.iter().filter(|(queue, _)| queue.starts_with("kefu.in."));
            let stored: u64 = partitions.map(|(_, depth)| depth.ready).sum();
            if stored == expected { Ok(()) } else { Err(format!("{stored} are stored")) }
        })
        .await;
    }

    async fn redis(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.redis.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// The keys of the claims in Redis.
    async fn claims(&self) -> Vec<String> {
        redis::cmd("KEYS").arg("kefu:claim:*").query_async(&mut self.redis().await).await.unwrap()
    }

    /// Takes a claim, as another ingress has it that is still storing the push.
    async fn takes_claim(&self, key: &str, keeps_for: Duration) {
        let ms = u64::try_from(keeps_for.as_millis()).unwrap();
        let mut set = redis::cmd("SET");
        let () = set.arg(key).arg("p:somebody").arg("PX").arg(ms).query_async(&mut self.redis().await).await.unwrap();
    }

    /// Whether it still answers, after whatever came.
    async fn is_up(&self) {
        assert_eq!(self.program.ask("/livez").await.0, 200);
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let metric = self.program.metric(r#"kefu_ingress_answers_total{kind="push",outcome="unreadable"}"#);
        // The test's own runtime cannot wait here, and its thread can have no other.
        let wait = || runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(metric);
        let unreadable = thread::scope(|scope| scope.spawn(wait).join()).expect("it answers");
        assert_eq!(unreadable, f64::from(self.unreadable.get()), "pushes that could not be read");
    }
}

/// Within this an answer is there.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_500);

/// Sees that an answer came before WeChat gives up after 5 s, where [`ANSWER_WITHIN`] took `answer_time`.
async fn assert_in_time(answer: &Answer, answer_time: JoinHandle<Duration>) {
    if answer.duration < ANSWER_WITHIN {
        return answer_time.abort();
    }
    let answer_time = answer_time.await.unwrap();
    let most = answer_time * 5_000 / 4_500;
    assert!(answer.duration < most, "after {:?}, where 4.5 s took {answer_time:?}", answer.duration);
}

/// How long [`ANSWER_WITHIN`] takes: on a busy machine every timer is late, and this one tells how late.
fn answer_time() -> JoinHandle<Duration> {
    let begun = Instant::now();
    tokio::spawn(async move {
        sleep(ANSWER_WITHIN).await;
        begun.elapsed()
    })
}

/// A push as bytes: head, then body.
fn bytes(account: &Account, push: &PushRequest) -> (Vec<u8>, Vec<u8>) {
    let query: Vec<String> = push.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let head = format!(
        "POST /push/{}?{} HTTP/1.1\r\nhost: kefu\r\ncontent-length: {}\r\n\r\n",
        account.appid,
        query.join("&"),
        push.body.len()
    );
    (head.into_bytes(), push.body.clone())
}

/// All that still comes, until the connection ends.
async fn read_to_end(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is as good an end.
    let _end = timeout(Duration::from_secs(10), connection.read_to_end(&mut answer)).await.expect("it ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answer to a push that was not taken: this status, and never `success`.
fn assert_refused(answer: &Answer, status: u16, case: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert!(!answer.body.contains("success"), "{case}: {answer:?}");
}

fn assert_success(answer: &Answer, case: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (200, "success"), "{case}");
}
