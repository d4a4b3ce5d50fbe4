//! Requests that come slowly, or only in part.

use std::time::Duration;

use kefu_harness::process::Role;
use kefu_harness::wechat::{Format, Message, Mode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Ingress, USER, answer_time, assert_success, bytes, read_to_end};

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_in_time_and_others_are_served_meanwhile() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let address = ingress.program.address(Role::Public);
    let (head, body) = bytes(&account, &account.push(Format::Xml, &Message::text(USER, "slow")));

    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(&head).await.unwrap();
        connection.write_all(&body[..body.len() / 2]).await.unwrap();
        slow.push(connection);
    }
    let (started, answer_time) = (Instant::now(), answer_time());
    assert_success(&ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "quick")).await, "a quick one");
    for mut connection in slow {
        let answer = read_to_end(&mut connection).await;
        assert!(answer.starts_with("HTTP/1.1 408") && !answer.contains("success"), "{answer}");
    }
    // All at the same time: one after the other would take minutes.
    let (took, answer_time) = (started.elapsed(), answer_time.await.unwrap());
    assert!(took < answer_time * 2, "{took:?}, where 4.5 s took {answer_time:?}");
    ingress.stores(1).await;
}

#[tokio::test]
async fn a_refused_chunked_request_does_not_hold_its_connection() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    for path in ["/push/none".to_owned(), format!("/push/{}", account.appid)] {
        let mut connection = TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: kefu\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\nabc");
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut connection).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up() {
    let (ingress, _) = Ingress::in_mode(Mode::Plain).await;
    let mut connection = TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap();
    connection.write_all(b"POST /push/wx1?signature=").await.unwrap();
    let answer = read_to_end(&mut connection).await;
    assert!(!answer.contains("success"), "{answer}");
    ingress.is_up().await;
}

#[tokio::test]
async fn a_later_head_that_comes_byte_by_byte_is_given_up_too() {
    let (ingress, _) = Ingress::in_mode(Mode::Plain).await;
    let (mut reading, mut writing) =
        TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap().into_split();
    writing.write_all(b"GET / HTTP/1.1\r\nhost: kefu\r\n\r\n").await.unwrap();
    let bytes = async {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let mut head = b"GET /push/".iter().chain(std::iter::repeat(&b'a'));
        while writing.write_all(&[*head.next().unwrap()]).await.is_ok() {
            tick.tick().await;
        }
    };
    let mut answers = String::new();
    let end = timeout(Duration::from_secs(15), async { tokio::join!(bytes, reading.read_to_string(&mut answers)) });
    let (_, _reset_or_end) = end.await.expect("the connection is closed");
    ingress.is_up().await;
}

#[tokio::test]
async fn a_request_that_is_cut_stores_nothing() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    let (head, body) = bytes(&account, &account.push(Format::Xml, &Message::text(USER, "cut")));
    let mut connection = TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap();
    connection.write_all(&head).await.unwrap();
    connection.write_all(&body[..body.len() - 1]).await.unwrap();
    drop(connection);
    ingress.program.counts("kefu_ingress_pushes_under_way", 0).await;
    ingress.stores(0).await;
    assert_success(&ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "whole")).await, "the next");
}
