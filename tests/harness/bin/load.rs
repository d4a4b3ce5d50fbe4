//! `kefu-load`: a short load on a whole kefu with Redis and RabbitMQ, beside what the servers alone can do.
//!
//! Everything runs on this machine, the simulated WeChat included, so the figures are those of all of it together. They
//! are given as ratios to a floor measured in the same run: one `SET NX`, one confirmed publish of a persistent message
//! to a quorum queue, one `SET`, by bare clients.

// A run that cannot be made ends with its reason.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use kefu_harness::load::{Load, LoadReport};
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::{Backend, Servers};
use kefu_simulator::{Filter, Limits};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// Pushes of the steady run, and their rate.
const STEADY: (u32, f64) = (4_000, 200.0);
/// Pushes of the run at full speed; the rate is more than can be had.
const FULL: (u32, f64) = (20_000, 20_000.0);
/// How many users write at once.
const USERS: u32 = 100;
/// How many rounds of the floor.
const FLOOR_ROUNDS: usize = 1_000;

#[tokio::main]
async fn main() {
    let mut options = ShopOptions::new(Backend::Production);
    options.limits = Limits { message_replies: 1_000_000, journal_entries: 1_000_000, ..Limits::default() };
    options.settings =
        vec![("telemetry", "log_filter = \"warn,kefu_ingress::server=info,kefu_program::internal=info\"".to_owned())];
    println!("starting redis-server, rabbitmq-server, kefu-ingress, kefu-worker and a simulated WeChat");
    let shop = Shop::start(options).await;
    let Servers::Production { redis, vhost } = &shop.stack.servers else { unreachable!("production was asked for") };
    // The first pushes fetch the token and open channels.
    load(&shop, (200, 200.0), "warm").await;

    let floor = floor(&redis.url(), &vhost.url()).await;
    println!("floor: claim, confirmed publish, completion by bare clients, one at a time: p50 {:.2} ms", ms(floor));
    let steady = load(&shop, STEADY, "steady").await;
    print("steady", &steady, floor);
    let full = load(&shop, FULL, "full").await;
    print("full speed", &full, floor);

    let pushed = steady.answered + full.answered;
    let replies = wait_for_replies(&shop, pushed as usize + 200).await;
    assert_eq!(replies, pushed as usize + 200, "not every push that was answered success was replied to once");
    println!("replies: {replies}, one for each push answered success");
}

async fn load(shop: &Shop, (pushes, per_second): (u32, f64), name: &str) -> LoadReport {
    let account = shop.appid().to_owned();
    let load = Load { account, users: USERS, pushes, per_second, user_prefix: format!("oLoad{name}") };
    load.run(&shop.simulator).await
}

fn print(name: &str, report: &LoadReport, floor: Duration) {
    println!(
        "{name}: {:.0} pushes/s answered, {} of {} success; answer p50 {:.2} ms ({:.1} x floor), p99 {:.2} ms ({:.1} x), worst {:.1} ms",
        report.per_second,
        report.answered,
        report.pushes,
        report.p50_ms,
        report.p50_ms / ms(floor),
        report.p99_ms,
        report.p99_ms / ms(floor),
        report.max_ms,
    );
}

/// The median time of what every push costs at least.
async fn floor(redis_url: &str, amqp_url: &str) -> Duration {
    let client = redis::Client::open(redis_url).expect("a Redis URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis is up");
    let broker = Connection::connect(amqp_url, ConnectionProperties::default()).await.expect("RabbitMQ is up");
    let channel = quorum_queue(&broker).await;
    let body = vec![b'x'; 600];
    let mut rounds = Vec::with_capacity(FLOOR_ROUNDS);
    for round in 0..FLOOR_ROUNDS {
        let started = Instant::now();
        let key = format!("floor:{round}");
        let set = |value: &'static str| redis::cmd("SET").arg(&key).arg(value).arg("PX").arg(60_000).to_owned();
        let () = set("p").arg("NX").query_async(&mut redis).await.expect("Redis answers");
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let confirm = channel.basic_publish("".into(), "floor".into(), options, &body, properties).await;
        confirm.expect("it is written").await.expect("it is confirmed");
        let () = set("d").query_async(&mut redis).await.expect("Redis answers");
        rounds.push(started.elapsed());
    }
    rounds.sort_unstable();
    rounds[FLOOR_ROUNDS / 2]
}

async fn quorum_queue(broker: &Connection) -> Channel {
    let channel = broker.create_channel().await.expect("a channel opens");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms are on");
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("floor".into(), options, arguments).await.expect("the queue is declared");
    channel
}

/// Waits until as many replies have reached users, for a minute at most; gives how many did.
async fn wait_for_replies(shop: &Shop, expected: usize) -> usize {
    let filter = Filter { delivered: Some(true), ..Filter::default() };
    shop.simulator.journal_wait(&filter, expected, Duration::from_secs(60)).await.len()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
