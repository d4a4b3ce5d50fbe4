//! Copies of a push: the same answer, one message.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kefu_harness::eventually;
use kefu_harness::wechat::{Format, Message, Mode};

use super::{Ingress, USER, answer_time, assert_in_time, assert_refused, assert_success};

#[tokio::test]
async fn a_second_copy_is_answered_the_same_and_stored_once() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        for message in [Message::text(USER, "hi"), Message::enter_tempsession(USER, "order")] {
            // Each copy has a nonce and a ciphertext of its own.
            for _ in 0..3 {
                assert_success(&ingress.pushes.push(account, Format::Xml, &message).await, "a copy");
            }
        }
    }
    ingress.stores(6).await;
}

#[tokio::test]
async fn copies_at_the_same_moment_are_stored_once() {
    let (ingress, account) = Ingress::in_mode(Mode::Safe).await;
    let message = Message::text(USER, "hi");
    let copies = (0..50).map(|_| ingress.pushes.push(&account, Format::Json, &message));
    for answer in join_all(copies).await {
        assert_success(&answer, "one of 50");
    }
    ingress.stores(1).await;
}

#[tokio::test]
async fn the_claim_is_pending_for_4_seconds_at_most_and_done_for_24_hours() {
    let (ingress, account) = Ingress::in_mode(Mode::Plain).await;
    assert_success(&ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "hi")).await, "the push");
    let keys = ingress.claims().await;
    assert_eq!(keys.len(), 1, "{keys:?}");
    // Ingress completes the claim after its answer.
    eventually(Duration::from_secs(10), "the claim is done", async || {
        let left: u64 = redis::cmd("PTTL").arg(&keys[0]).query_async(&mut ingress.redis().await).await.unwrap();
        if (86_000_000..=86_400_000).contains(&left) { Ok(()) } else { Err(format!("{left} ms")) }
    })
    .await;

    let account_and_users = keys[0].rsplit_once('|').unwrap().0;
    let claim = |message: &Message| format!("{account_and_users}|{}}}", message.field("MsgId").unwrap());

    // A claim whose owner died: a copy waits for its end, then takes over, within WeChat's patience.
    let message = Message::text(USER, "died");
    let begun = Instant::now();
    ingress.takes_claim(&claim(&message), Duration::from_secs(2)).await;
    let answer = ingress.pushes.push(&account, Format::Xml, &message).await;
    assert_success(&answer, "taken over");
    // Redis counts whole milliseconds, and its own.
    assert!(begun.elapsed() >= Duration::from_millis(1_998), "it did not wait: {:?}", begun.elapsed());
    ingress.stores(2).await;

    // One that outlasts the answer: never success, and an answer before WeChat gives up.
    let message = Message::text(USER, "held");
    ingress.takes_claim(&claim(&message), Duration::from_secs(60)).await;
    let answer_time = answer_time();
    let answer = ingress.pushes.push(&account, Format::Xml, &message).await;
    assert_refused(&answer, 503, "held by somebody");
    assert_in_time(&answer, answer_time).await;
    ingress.stores(2).await;
}
