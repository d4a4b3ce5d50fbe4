//! Nothing outlives the process that started it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kefu_harness::eventually;

/// A run's mark for the processes of one test.
fn mark() -> String {
    format!("leftovers-{:016x}", rand::random::<u64>())
}

/// The processes with a mark in their environment or their folder's name: name and number. redis-server overwrites its
/// environment, and RabbitMQ may have another root, so either will do.
fn marked(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let variable = format!("KEFU_TEST_RUN={mark}");
        let in_environment = environment.split(|byte| *byte == 0).any(|line| line == variable.as_bytes());
        let folder = std::fs::read_link(process.path().join("cwd")).unwrap_or_default();
        if in_environment || folder.to_string_lossy().contains(mark) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.push(format!("{} {}", name.trim(), process.file_name().display()));
        }
    }
    found
}

/// A process that has started a server and waits.
fn owner_of(server: &str, mark: &str) -> (Child, String) {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_kefu-test-servers"))
        .arg(server)
        .env("KEFU_TEST_RUN", mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (owner, address)
}

async fn nothing_is_left(mark: &str) {
    eventually(Duration::from_secs(20), "no process is left", async || {
        let left = marked(mark);
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    })
    .await;
}

#[tokio::test]
async fn a_killed_owner_of_rabbitmq_leaves_no_process_and_no_file() {
    let mark = mark();
    let (mut owner, broker) = owner_of("rabbitmq", &mark);
    let running = marked(&mark);
    for expected in ["beam.smp", "epmd"] {
        assert!(running.iter().any(|process| process.starts_with(expected)), "no {expected} in {running:?}");
    }
    let broker: serde_json::Value = serde_json::from_str(&broker).unwrap();
    let files = PathBuf::from(broker["files"].as_str().unwrap());
    assert!(files.join("data").exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    nothing_is_left(&mark).await;
    assert!(!files.parent().unwrap().exists(), "{} is left", files.display());
}

#[tokio::test]
async fn a_killed_owner_of_redis_leaves_no_process() {
    let mark = mark();
    let (mut owner, _) = owner_of("redis", &mark);
    assert!(marked(&mark).iter().any(|process| process.starts_with("redis-server")));
    owner.kill().unwrap();
    owner.wait().unwrap();
    nothing_is_left(&mark).await;
}

#[tokio::test]
async fn an_owner_whose_input_ends_takes_its_server_with_it() {
    let mark = mark();
    let (mut owner, _) = owner_of("redis", &mark);
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
    nothing_is_left(&mark).await;
}

#[tokio::test]
async fn an_owner_ends_when_its_runner_is_killed() {
    let mark = mark();
    // The shell is the runner: it keeps the owner's input open, so that only its own death can end it.
    let mut runner = Command::new("sh")
        .args(["-c", "exec 3<&0; \"$0\" redis <&3 & read -r _ && wait", env!("CARGO_BIN_EXE_kefu-test-servers")])
        .env("KEFU_TEST_RUN", &mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(runner.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.starts_with("redis://"), "{address}");
    let _input = runner.stdin.take().unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    nothing_is_left(&mark).await;
}
