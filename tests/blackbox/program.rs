//! The fixture for programs, with shell scripts in the place of kefu's.

use std::time::Duration;

use futures_util::FutureExt;
use kefu_harness::process::{Launch, Program, Role, Wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(10);

fn script(text: &str, listens: &[Role], wait: Wait) -> Launch {
    let args = vec!["-c".into(), text.into()];
    Launch { program: "sh".into(), args, environment: Vec::new(), listens: listens.to_vec(), wait }
}

/// A listener whose `/readyz` says 503 once, and then 200; and its address.
async fn readyz() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for status in ["503 Service Unavailable", "200 OK"] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let read = connection.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_program_is_started_when_it_listens_and_says_that_it_is_ready() {
    let internal = readyz().await;
    let text = format!(
        r#"echo 'not JSON' >&2
        echo '{{"message":"listening","role":"public","address":"127.0.0.1:4321"}}' >&2
        echo '{{"level":"INFO","fields":{{"message":"listening","role":"internal","address":"{internal}"}}}}' >&2
        echo '{{"fields":{{"message":"unrelated","role":"internal","address":"127.0.0.1:9"}}}}' >&2
        trap 'echo bye; exit 7' TERM; while :; do sleep 0.05; done"#
    );
    let program = Program::start(script(&text, &[Role::Public, Role::Internal], Wait::Ready)).await;
    assert_eq!(program.url(Role::Public), "http://127.0.0.1:4321");
    assert_eq!(program.address(Role::Internal), internal);
    program.terminate();
    let (status, output) = program.end_within(SOON).await;
    assert_eq!(status.code(), Some(7));
    assert!(output.contains("not JSON") && output.ends_with("bye\n"), "{output}");
}

#[tokio::test]
async fn a_program_that_ends_at_once_fails_the_test_with_its_output() {
    let launch = script("echo 'no such key' >&2; exit 3", &[Role::Internal], Wait::Ready);
    let failure = std::panic::AssertUnwindSafe(Program::start(launch)).catch_unwind().await.unwrap_err();
    let text = failure.downcast_ref::<String>().unwrap();
    assert!(text.contains("exit status: 3"), "{text}");
}

#[tokio::test]
async fn a_program_that_must_fail_tells_its_status_and_all_it_printed() {
    let program = Program::start(script("echo one; echo two >&2; exit 2", &[], Wait::Nothing)).await;
    let (status, output) = program.end_within(SOON).await;
    assert_eq!(status.code(), Some(2));
    assert!(output.contains("one\n") && output.contains("two\n"), "{output}");
}

#[tokio::test]
async fn a_dropped_program_is_gone_with_its_children() {
    let program = Program::start(script("echo $$; sleep 600 & wait", &[], Wait::Nothing)).await;
    let group = kefu_harness::eventually(SOON, "it prints its number", async || {
        program.output().trim().parse::<u32>().map_err(|error| error.to_string())
    })
    .await;
    drop(program);
    let of_group =
        |stat: &str| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.split(' ').nth(3) == Some(&group.to_string()));
    let left: Vec<_> = std::fs::read_dir("/proc").unwrap().flatten().map(|p| p.path().join("stat")).collect();
    let left: Vec<_> =
        left.into_iter().filter_map(|stat| std::fs::read_to_string(stat).ok()).filter(|s| of_group(s)).collect();
    assert!(left.iter().all(|stat| stat.contains(") Z ")), "{left:?}");
}
