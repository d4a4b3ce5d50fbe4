//! Large bodies, whole and in part.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kefu_harness::eventually;
use kefu_harness::process::Role;
use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::wechat::{Account, Format, Message, Mode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Ingress, USER, assert_success, bytes, read_to_end};

const BUFFERED: &str = "kefu_ingress_buffered_bytes";
const UNDER_WAY: &str = "kefu_ingress_pushes_under_way";

/// What a push may take, from its head to its answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_500);

async fn with_settings(account: &Account, settings: &str) -> Ingress {
    let options = StackOptions::new(Backend::Production, vec![account.clone()], "http://127.0.0.1:9");
    Ingress::start_with(options.with("ingress", settings)).await
}

async fn send(ingress: &Ingress, bytes: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    connection
}

#[tokio::test]
async fn a_large_push_is_stored_in_every_mode_and_format() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    // In compat mode it is three times as long.
    let text = "客服消息".repeat(25_000);
    for account in &accounts {
        for format in Format::ALL {
            assert_success(&ingress.pushes.push(account, format, &Message::text(USER, &text)).await, "a large one");
        }
    }
    ingress.stores(6).await;
    assert_eq!(ingress.program.metric(BUFFERED).await, 0.0);
}

#[tokio::test]
async fn what_half_sent_bodies_hold_is_bounded() {
    let account = Account::random(Mode::Plain);
    let ingress = with_settings(&account, "max_buffered_bytes = 1048576").await;
    let (head, body) = bytes(&account, &account.push_raw(Format::Xml, &" ".repeat(1024 * 1024)));
    let before = ingress.program.peak_memory();
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(send(&ingress, &[&head, &body[1..]].concat()).await);
    }
    for mut connection in connections {
        read_to_end(&mut connection).await;
    }
    let held = ingress.program.peak_memory() - before;
    assert!(held < 40_000_000, "{held} bytes");
    assert_success(&ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "hi")).await, "after them");
}

#[tokio::test]
async fn without_room_a_large_push_waits_and_is_refused_in_the_end_and_small_ones_are_taken() {
    let account = Account::random(Mode::Plain);
    let ingress = with_settings(&account, "max_body_bytes = 65536\nmax_buffered_bytes = 65536").await;
    let (head, body) = bytes(&account, &account.push(Format::Xml, &Message::text(USER, &"x".repeat(40_000))));
    // The first one's time begins before that of those which take the room, or they would be given up before it is. A
    // machine on which all of that takes a third of its time is asked again.
    let (mut first, others) = eventually(Duration::from_secs(120), "the room is taken in time", async || {
        let begun = Instant::now();
        let first = send(&ingress, &head).await;
        ingress.program.counts(UNDER_WAY, 1).await;
        let others = join_all((0..4).map(|_| async { send(&ingress, &[&head, &body[1..]].concat()).await })).await;
        while begun.elapsed() < ANSWER_WITHIN / 3 {
            let taken = ingress.program.metric(BUFFERED).await;
            if taken > 40_000.0 && begun.elapsed() < ANSWER_WITHIN / 3 {
                return Ok((first, others));
            }
        }
        drop((first, others));
        ingress.program.counts(UNDER_WAY, 0).await;
        Err("it took too long")
    })
    .await;
    first.write_all(&body).await.unwrap();
    assert_success(&ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "hi")).await, "a small one");
    let answer = read_to_end(&mut first).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    for mut other in others {
        read_to_end(&mut other).await;
    }
    assert!(ingress.program.metric(r#"kefu_ingress_answers_total{kind="push",outcome="no_room"}"#).await >= 1.0);
    let large = account.push(Format::Xml, &Message::text(USER, &"x".repeat(40_000)));
    assert_success(&ingress.pushes.send(&account.appid, &large).await, "a large one after them");
    ingress.stores(2).await;
    assert_eq!(ingress.program.metric(BUFFERED).await, 0.0);
}
