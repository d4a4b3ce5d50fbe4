//! A callback that ends all of its connections at once, again and again, as a process does that is killed.

use std::sync::Arc;
use std::time::Duration;

use kefu_simulator::{Message, Outcome, PushRequest, Simulator, SimulatorConfig};
use kefu_wechat::push::Format;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bench::{APPID, account};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess";

/// Each may meet the instant at which a connection ends.
const PUSHES: usize = 5_000;
const AT_A_TIME: usize = 40;

/// For how long all connections live.
const LIFETIME: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_push_on_a_connection_that_is_just_ending_fails_at_once_or_leaves_on_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push/wx", listener.local_addr().unwrap());
    let (hang_up, hanging_up) = watch::channel(());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let mut end = hanging_up.clone();
            end.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    () = answer_all(connection) => {}
                    _ = end.changed() => {}
                }
            });
        }
    });
    serving.spawn(async move {
        loop {
            tokio::time::sleep(LIFETIME).await;
            hang_up.send_replace(());
        }
    });
    let simulator = Arc::new(Simulator::start(SimulatorConfig::new(vec![account(Some(&url))])).await.unwrap());
    let mut pushing = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let simulator = Arc::clone(&simulator);
        pushing.spawn(async move {
            for _ in 0..PUSHES / AT_A_TIME {
                let request = PushRequest::new(APPID, "oUser", Message::text("hello"));
                let request = PushRequest { format: Some(Format::Json), tries: Some(1), ..request };
                let outcome = simulator.push(request).await.unwrap().copies[0].tries[0].outcome;
                assert!(matches!(outcome, Outcome::Success | Outcome::Connection), "{outcome:?}");
            }
        });
    }
    while let Some(ended) = pushing.join_next().await {
        ended.unwrap();
    }
}

/// Reads requests and answers each.
async fn answer_all(mut connection: TcpStream) {
    let (mut request, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let head = request.windows(4).position(|window| window == b"\r\n\r\n");
        if head.is_some_and(|head| request.len() >= head + 4 + length(&request[..head])) {
            request.clear();
            if connection.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        match connection.read(&mut chunk).await {
            Ok(read) if read > 0 => request.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
    value.trim().parse().unwrap()
}
