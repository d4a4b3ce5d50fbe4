//! Measures the spool on this machine: how fast it takes pushes and gives them back, and how large its file becomes.
// A measurement that cannot be made ends with its reason.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt;
use kefu_messages::envelope::Envelope;
use kefu_queue::{Publisher, QueueError, Turn};
use kefu_runtime::health::Health;
use kefu_spool::{PATIENCE, Settings};
use kefu_wechat::push::Push;

const PUSHES: u32 = 50_000;
const USERS: u32 = 1_000;
const AT_ONCE: usize = 200;

/// Unavailable at first; then each publish takes a millisecond.
#[derive(Default)]
struct Broker {
    up: AtomicBool,
}

#[async_trait]
impl Publisher for Broker {
    async fn publish(&self, _: &Envelope, _: Turn) -> Result<(), QueueError> {
        if self.up.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            return Ok(());
        }
        Err(QueueError::Unavailable("away".into()))
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        self
    }

    fn health(&self) -> Health {
        if self.up.load(Ordering::Relaxed) { Health::Up } else { Health::Down("away".to_owned()) }
    }

    async fn close(&self, _: Duration) {}
}

fn envelope(number: u32) -> Envelope {
    let raw = format!(
        r#"{{"ToUserName":"gh_0123456789ab","FromUserName":"oUSER{:023}","CreateTime":1700000000,"MsgType":"text","MsgId":{},"Content":"请问我的订单什么时候发货?"}}"#,
        number % USERS,
        9_000_000_000_000_000_000_u64 + u64::from(number)
    );
    let push = Push::parse(&raw).unwrap();
    Envelope::of_push("wx0123456789abcdef", push, raw, 1_700_000_000_000)
}

fn mebibytes(folder: &Path) -> f64 {
    std::fs::metadata(folder.join("0/kefu.redb")).unwrap().len() as f64 / 1_048_576.0
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Broker::default());
    let settings = Settings { folder: folder.path().into(), max_bytes: 1 << 30, partitions: 64, patience: PATIENCE };
    let spool = kefu_spool::open(broker.clone(), settings.clone()).await;
    tokio::time::sleep(PATIENCE * 2).await;

    let started = Instant::now();
    let push = |number| {
        let spool = spool.clone();
        async move { spool.publish(&envelope(number), Turn::unordered()).await.unwrap() }
    };
    futures_util::stream::iter(0..PUSHES).map(push).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    let bytes = envelope(1).to_json().len() as f64 * f64::from(PUSHES) / 1_048_576.0;
    println!("taken: {:.0}/s; {bytes:.0} MiB of messages", f64::from(PUSHES) / started.elapsed().as_secs_f64());
    println!("file: {:.0} MiB, {:.2} x", mebibytes(folder.path()), mebibytes(folder.path()) / bytes);

    spool.close(PATIENCE).await;
    drop(spool);
    let started = Instant::now();
    let spool = kefu_spool::open(broker.clone(), settings).await;
    println!("opened again: {:.0?}", started.elapsed());

    broker.up.store(true, Ordering::Relaxed);
    let started = Instant::now();
    while spool.spool_health() != Health::Up {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("relayed: {:.0}/s", f64::from(PUSHES) / started.elapsed().as_secs_f64());
    tokio::time::sleep(PATIENCE).await;
    println!("file: {:.1} MiB", mebibytes(folder.path()));
}
