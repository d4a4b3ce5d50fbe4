//! How many round trips to Redis, one after the other, a message costs the worker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kefu_harness::process::Program;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// How long an answer of Redis takes. It is long beside the time between two calls that are made at once, and short beside
/// the time that the store gives to a call.
const ANSWERS_TAKE: Duration = Duration::from_millis(100);

/// The names of the keys that belong to a message or its user. Tokens and seats belong to neither.
const OF_MESSAGES: [&str; 6] =
    ["kefu:job:", "kefu:window:", "kefu:order:", "kefu:send:", "kefu:conversation:", "kefu:claim:"];

/// A long wire to a Redis, on which every answer travels for [`ANSWERS_TAKE`].
struct LongWire {
    url: String,
    requests: Arc<Mutex<Vec<(Instant, String)>>>,
    lays: AbortHandle,
}

impl LongWire {
    async fn to(redis_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (redis, requests) = (redis_url.replace("redis://", ""), Arc::<Mutex<Vec<_>>>::default());
        let log = Arc::clone(&requests);
        let lays = tokio::spawn(async move {
            let mut wires = JoinSet::new();
            loop {
                let (worker, _) = listener.accept().await.unwrap();
                let (from_worker, to_worker) = worker.into_split();
                let (from_redis, to_redis) = TcpStream::connect(&redis).await.unwrap().into_split();
                wires.spawn(carry_requests(from_worker, to_redis, Arc::clone(&log)));
                wires.spawn(carry_answers(from_redis, to_worker));
            }
        });
        Self { url, requests, lays: lays.abort_handle() }
    }

    /// The requests about messages, by round trip, since the last call. A request that the worker wrote before it can have
    /// had the answer to the first request of a round trip follows none of its requests, and belongs to it.
    fn round_trips(&self) -> Vec<Vec<String>> {
        let mut trips: Vec<(Instant, Vec<String>)> = Vec::new();
        for (at, request) in std::mem::take(&mut *self.requests.lock().unwrap()) {
            match trips.last_mut() {
                _ if OF_MESSAGES.iter().all(|key| !request.contains(key)) => {}
                Some((first, trip)) if at < *first + ANSWERS_TAKE => trip.push(request),
                _ => trips.push((at, vec![request])),
            }
        }
        trips.into_iter().map(|(_, trip)| trip).collect()
    }
}

impl Drop for LongWire {
    fn drop(&mut self) {
        self.lays.abort();
    }
}

async fn carry_requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, log: Arc<Mutex<Vec<(Instant, String)>>>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        log.lock().unwrap().push((Instant::now(), String::from_utf8_lossy(&bytes[..count]).into_owned()));
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn carry_answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (sender, mut arriving) = tokio::sync::mpsc::unbounded_channel();
    let departs = async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let _sent = sender.send((Instant::now() + ANSWERS_TAKE, bytes[..count].to_vec()));
        }
    };
    let arrives = async move {
        while let Some((at, bytes)) = arriving.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(departs, arrives);
}

#[tokio::test]
async fn a_message_of_one_reply_costs_three_round_trips_to_redis() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    let wire = LongWire::to(&shop.stack.redis().url()).await;
    let mut launch = shop.stack.launch(1);
    launch.environment.push(("KEFU__STORE__URL".to_owned(), wire.url.clone()));
    shop.stack.programs[1].kill();
    let worker = Program::start(launch).await;
    let done = "kefu_worker_messages_total{outcome=\"done\"}";

    // The first message also loads the scripts, and fetches the access_token.
    assert!(shop.push("oFirst", Message::text("hello")).await.answered);
    worker.counts(done, 1.0).await;
    wire.round_trips();

    assert!(shop.push("oSecond", Message::text("hello")).await.answered);
    worker.counts(done, 2.0).await;
    let trips = wire.round_trips();
    assert_eq!(shop.replies_within("oSecond", 1).await.len(), 1);
    assert_eq!(trips.len(), 3, "{trips:#?}");
}
