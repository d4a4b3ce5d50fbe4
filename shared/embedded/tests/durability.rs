//! Everything that the embedded queue acknowledged survives `kill -9`.
//!
//! The test starts itself again as a process that publishes and settles, and reports each acknowledgement. The test kills
//! this process in the middle of its work, and checks the content of the file.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]
// The test hands its settings to itself through the environment.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use kefu_embedded::Database;
use kefu_embedded::queue::EmbeddedQueue;
use kefu_messages::envelope::Envelope;
use kefu_messages::testing::text;
use kefu_queue::{ConsumerOptions, Settlement, Turn};

const FOLDER: &str = "KEFU_TEST_FOLDER";
const ROUND: &str = "KEFU_TEST_ROUND";
const PARTITIONS: u16 = 8;
const PUBLISHING: u32 = 12;
const LAST: &str = "last";

/// The message `number` of the user `user`.
fn envelope(user: &str, number: u32) -> Envelope {
    Envelope { v: 1, raw: Some(format!("<xml>{}</xml>", "x".repeat(300))), ..text(user, number, &"您好".repeat(50)) }
}

fn options() -> ConsumerOptions {
    ConsumerOptions { id: "durability".to_owned(), prefetch: u16::MAX, seat: None }
}

fn user_and_number(envelope: &Envelope) -> (String, u32) {
    (envelope.push.from_user.as_str().to_owned(), envelope.push.msg_id.as_ref().unwrap().parse().unwrap())
}

/// Writes a line as a whole or not at all.
fn report(what: &str, user: &str, number: u32) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{what} {user} {number}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The work of the process that is killed.
fn publish_and_settle(folder: &str) {
    let round = std::env::var(ROUND).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let database = Database::open(Path::new(folder)).unwrap();
        let queue = EmbeddedQueue::open(&database).await.unwrap();
        let publisher = queue.publisher(PARTITIONS);
        let mut consumer = queue.consumer(PARTITIONS, options());
        for caller in 0..PUBLISHING {
            let publisher = publisher.clone();
            let user = format!("oRound{round}User{caller}");
            tokio::spawn(async move {
                for number in 0.. {
                    publisher.publish(&envelope(&user, number), Turn::unordered()).await.unwrap();
                    report("published", &user, number);
                }
            });
        }
        // Every third message is settled; the others stay outstanding.
        while let Some(delivery) = consumer.next().await {
            let (user, number) = user_and_number(delivery.envelope.as_ref().unwrap());
            match number % 3 {
                0 => {
                    tokio::spawn(async move {
                        delivery.settle(Settlement::Done).await.unwrap();
                        report("settled", &user, number);
                    });
                }
                _ => std::mem::forget(delivery),
            }
        }
    });
}

/// Runs the process until it has reported `enough` lines, kills it, and records its reports.
fn run_and_kill(folder: &Path, round: u32, enough: usize, reports: &mut BTreeMap<String, BTreeSet<(String, u32)>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(report) = line.strip_prefix('@') else { continue };
        let parts: Vec<&str> = report.split(' ').collect();
        let [what, user, number] = parts[..] else { panic!("{line}") };
        reports.entry(what.to_owned()).or_default().insert((user.to_owned(), number.parse().unwrap()));
        lines += 1;
        if lines == enough {
            // The reports before its death are read too.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(lines >= enough, "it ended by itself after {lines} reports");
}

/// All messages of the file, in the order of their delivery.
async fn stored(folder: &Path) -> Vec<(String, u32)> {
    let database = Database::open(folder).unwrap();
    let mut found = Vec::new();
    {
        // One message behind all others on each partition tells when all are read.
        let queue = EmbeddedQueue::open(&database).await.unwrap();
        let publisher = queue.publisher(PARTITIONS);
        let mut missing = BTreeSet::new();
        for n in 0.. {
            let last = envelope(&format!("{LAST}{n}"), 0);
            if missing.insert(last.partition(PARTITIONS)) {
                publisher.publish(&last, Turn::unordered()).await.unwrap();
            }
            if missing.len() == usize::from(PARTITIONS) {
                break;
            }
        }
        let mut consumer = queue.consumer(PARTITIONS, options());
        let mut held = Vec::new();
        while !missing.is_empty() {
            let delivery = consumer.next().await.unwrap();
            let (user, number) = user_and_number(delivery.envelope.as_ref().unwrap());
            if user.starts_with(LAST) {
                missing.remove(&delivery.partition);
                delivery.settle(Settlement::Done).await.unwrap();
            } else {
                found.push((user, number));
                held.push(delivery);
            }
        }
    }
    database.close().await;
    found
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    // The same test, in the process that it has started.
    if let Ok(folder) = std::env::var(FOLDER) {
        return publish_and_settle(&folder);
    }
    tokio::runtime::Runtime::new().unwrap().block_on(kill_again_and_again());
}

async fn kill_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut reports = BTreeMap::new();
    for round in 0..4 {
        run_and_kill(folder.path(), round, 200 + 333 * round as usize, &mut reports);
        let stored = stored(folder.path()).await;
        let set: BTreeSet<_> = stored.iter().cloned().collect();
        assert_eq!(set.len(), stored.len(), "nothing is stored twice");
        let (published, settled) = (&reports["published"], &reports["settled"]);
        let lost: Vec<_> = published.iter().filter(|id| id.1 % 3 != 0 && !set.contains(*id)).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
        let back: Vec<_> = set.intersection(settled).collect();
        assert!(back.is_empty(), "round {round}: settled and still there: {back:?}");
        let mut before = BTreeMap::new();
        for (user, number) in stored {
            let last = before.insert(user, number);
            assert!(last < Some(number), "round {round}: {number} comes after {last:?}");
        }
        println!("round {round}: {} acknowledged, {} settled, {} stored", published.len(), settled.len(), set.len());
    }
}
