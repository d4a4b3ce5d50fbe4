//! Measures the embedded queue on the disk below a folder, beside the floor that the disk itself sets.
//!
//! `cargo run -p kefu-embedded --example embedded_figures [FOLDER]`; without a folder, the system's temporary one.

// A measurement that cannot be made ends with its reason.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kefu_embedded::Database;
use kefu_embedded::queue::EmbeddedQueue;
use kefu_messages::envelope::Envelope;
use kefu_messages::testing::text;
use kefu_queue::{ConsumerOptions, Publisher, Settlement, Turn};

const FOR: Duration = Duration::from_secs(3);
const PARTITIONS: u16 = 8;

fn main() {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!("{build} build, {} bytes a message", envelope("oUser", 0).to_json().len());
    raw(folder.path());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let database = Database::open(folder.path()).unwrap();
        let queue = EmbeddedQueue::open(&database).await.unwrap();
        let publisher = queue.publisher(PARTITIONS);
        let mut published = 0;
        for callers in [1, 64, 256] {
            published += publishing(&publisher, callers).await;
        }
        consuming(&queue, published).await;
        let file = folder.path().join(kefu_embedded::FILE_NAME);
        println!("the file has {} MiB", file.metadata().unwrap().len() >> 20);
    });
}

fn envelope(user: &str, number: u32) -> Envelope {
    Envelope { v: 1, raw: Some("x".repeat(250)), ..text(user, number, &"x".repeat(40)) }
}

/// The floor: append as many bytes to a file and sync it, again and again.
fn raw(folder: &Path) {
    let body = envelope("oUser", 0).to_json();
    let mut file = std::fs::File::create(folder.join("raw")).unwrap();
    let mut times = Times::start();
    while times.go_on() {
        let begun = Instant::now();
        file.write_all(&body).unwrap();
        file.sync_data().unwrap();
        times.add(begun.elapsed());
    }
    times.print("raw append + fdatasync");
}

async fn publishing(publisher: &Arc<dyn Publisher>, callers: usize) -> usize {
    let all = (0..callers).map(|caller| {
        let publisher = publisher.clone();
        tokio::spawn(async move {
            let mut times = Times::start();
            while times.go_on() {
                let envelope = envelope(&format!("oUser{caller}"), times.each.len() as u32);
                let begun = Instant::now();
                publisher.publish(&envelope, Turn::unordered()).await.unwrap();
                times.add(begun.elapsed());
            }
            times
        })
    });
    let mut times = Times::start();
    for caller in all.collect::<Vec<_>>() {
        times.each.extend(caller.await.unwrap().each);
    }
    times.print(&format!("publish, {callers} callers"));
    times.each.len()
}

/// Takes every delivery and settles it, each in a task of its own.
async fn consuming(queue: &EmbeddedQueue, count: usize) {
    let options = ConsumerOptions { id: "figures".to_owned(), prefetch: 100, seat: None };
    let mut consumer = queue.consumer(PARTITIONS, options);
    let mut settling = tokio::task::JoinSet::new();
    let mut times = Times::start();
    for _ in 0..count {
        let delivery = consumer.next().await.unwrap();
        settling.spawn(async move {
            let begun = Instant::now();
            delivery.settle(Settlement::Done).await.unwrap();
            begun.elapsed()
        });
    }
    times.each.extend(settling.join_all().await);
    times.print("deliver and settle");
}

struct Times {
    begun: Instant,
    each: Vec<Duration>,
}

impl Times {
    fn start() -> Self {
        Self { begun: Instant::now(), each: Vec::new() }
    }

    fn go_on(&self) -> bool {
        self.begun.elapsed() < FOR
    }

    fn add(&mut self, time: Duration) {
        self.each.push(time);
    }

    fn print(&mut self, what: &str) {
        let per_second = self.each.len() as f64 / self.begun.elapsed().as_secs_f64();
        self.each.sort_unstable();
        let at = |share: f64| self.each[((self.each.len() - 1) as f64 * share) as usize];
        println!("{what:24} {per_second:8.0}/s   p50 {:?}   p99 {:?}   max {:?}", at(0.5), at(0.99), at(1.0));
    }
}
