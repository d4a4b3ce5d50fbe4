use std::time::{Duration, Instant};

use kefu_simulator::{Event, FaultKind, FaultRequest, Filter, Limits, Message, SimulatorConfig};
use serde_json::{Value, json};

use crate::bench::{APPID, Bench, SEND, USER, account, text};

async fn bench_with_window() -> Bench {
    let mut config = SimulatorConfig::new(vec![account(None)]);
    config.limits = Limits { message_replies: 1_000, ..Limits::default() };
    let bench = Bench::configured(config).await;
    bench.user_does(Message::text("hi")).await;
    bench
}

async fn order(bench: &Bench, fault: Value) {
    let answer = bench.post("/simulator/faults", &fault).await;
    assert!(answer["id"].is_u64(), "{answer}");
}

/// A send whose answer need not be JSON, nor come at all.
async fn send_raw(bench: &Bench, token: &str) -> Result<(u16, String), reqwest::Error> {
    let url = bench.url(&format!("{SEND}?access_token={token}"));
    let response = bench.http.post(url).json(&text("a")).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

fn delivered(bench: &Bench) -> usize {
    bench.simulator.journal(&Filter::delivered(0)).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_exact_in_its_count_whatever_comes_at_the_same_time() {
    let bench = std::sync::Arc::new(bench_with_window().await);
    order(&bench, json!({ "kind": "errcode", "path": "custom/send", "errcode": -1, "times": 17 })).await;
    let token = bench.stable_token().await;
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (bench, token) = (std::sync::Arc::clone(&bench), token.clone());
            tokio::spawn(async move { send_raw(&bench, &token).await.unwrap().1 })
        })
        .collect();
    let mut refused = 0;
    for call in calls {
        refused += usize::from(call.await.unwrap().contains("\"errcode\":-1"));
    }
    assert_eq!((refused, delivered(&bench)), (17, 83));
    assert_eq!(bench.get("/simulator/faults").await, json!([]));
}

#[tokio::test]
async fn a_dropped_connection_leaves_it_open_whether_the_message_arrived() {
    let bench = bench_with_window().await;
    let token = bench.stable_token().await;
    order(&bench, json!({ "kind": "drop", "path": "custom/send" })).await;
    let error = send_raw(&bench, &token).await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    assert_eq!(delivered(&bench), 0);
    order(&bench, json!({ "kind": "drop", "path": "custom/send", "effect": true })).await;
    assert!(send_raw(&bench, &token).await.is_err());
    assert_eq!(delivered(&bench), 1);
    assert!(send_raw(&bench, &token).await.is_ok());

    let sends = bench.simulator.journal(&Filter { path: Some("custom/send".to_owned()), ..Filter::default() });
    let Event::ApiCall(call) = &sends[1].event else { panic!() };
    assert_eq!((call.status, call.errcode, call.delivered), (None, None, Some(true)));
    assert_eq!(call.fault.as_deref(), Some("drop"));
}

#[tokio::test]
async fn answers_that_cannot_be_read_come_in_every_kind() {
    let bench = bench_with_window().await;
    let token = bench.stable_token().await;
    let on_send = |kind: &str| json!({ "kind": kind, "path": "custom/send" });

    order(&bench, on_send("cut_body")).await;
    let url = bench.url(&format!("{SEND}?access_token={token}"));
    let head = bench.http.post(url).json(&text("a")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    head.text().await.unwrap_err();
    order(&bench, on_send("cut_json")).await;
    let (status, body) = send_raw(&bench, &token).await.unwrap();
    assert!(status == 200 && body.starts_with('{') && serde_json::from_str::<Value>(&body).is_err(), "{body}");
    order(&bench, on_send("errcode_as_text")).await;
    assert_eq!(send_raw(&bench, &token).await.unwrap().1, r#"{"errcode":"0","errmsg":"ok"}"#);
    assert_eq!(delivered(&bench), 3);

    order(&bench, json!({ "kind": "errcode_as_text", "path": "custom/send", "errcode": 45047 })).await;
    assert!(send_raw(&bench, &token).await.unwrap().1.contains(r#""errcode":"45047""#));
    order(&bench, on_send("status")).await;
    assert_eq!(send_raw(&bench, &token).await.unwrap().0, 500);
    order(&bench, json!({ "kind": "html", "path": "custom/send", "status": 502 })).await;
    let (status, body) = send_raw(&bench, &token).await.unwrap();
    assert!(status == 502 && body.contains("<html>"));
    assert_eq!(delivered(&bench), 3);
}

#[tokio::test]
async fn latency_delays_the_answer_and_not_the_effect() {
    let bench = bench_with_window().await;
    let token = bench.stable_token().await;
    order(&bench, json!({ "kind": "latency", "path": "custom/send", "latency_ms": 150 })).await;
    let started = Instant::now();
    send_raw(&bench, &token).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(150));
    order(&bench, json!({ "kind": "latency", "path": "custom/send", "latency_ms": 60_000 })).await;
    let later = Filter::delivered(bench.simulator.journal_last());
    let impatient = bench.http.post(bench.url(&format!("{SEND}?access_token={token}"))).json(&text("b"));
    let (answer, seen) = tokio::join!(
        impatient.timeout(Duration::from_millis(500)).send(),
        bench.simulator.journal_wait(&later, 1, Duration::from_secs(10))
    );
    assert!(answer.unwrap_err().is_timeout());
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn a_fault_can_be_meant_for_one_user_only() {
    let bench = bench_with_window().await;
    order(&bench, json!({ "kind": "errcode", "errcode": -1, "user": "oOTHER", "account": APPID })).await;
    assert_eq!(bench.send_text("a").await, 0);
    let other = json!({ "touser": "oOTHER", "msgtype": "text", "text": { "content": "a" } });
    assert_eq!(bench.errcode(SEND, &other).await, -1);
    assert_eq!(bench.errcode(SEND, &other).await, 40003);
}

#[tokio::test]
async fn tokens_can_be_long_expire_or_be_superseded_on_demand() {
    let bench = bench_with_window().await;
    let fault = |kind| FaultRequest { account: Some(APPID.to_owned()), ..FaultRequest::new(kind, "stable_token") };
    bench.simulator.fault(fault(FaultKind::LongToken)).unwrap();
    let token = bench.stable_token().await;
    assert_eq!(token.len(), 600);
    assert!(send_raw(&bench, &token).await.unwrap().1.contains("\"errcode\":0"));
    bench.simulator.fault(fault(FaultKind::ExpireToken)).unwrap();
    assert!(send_raw(&bench, &token).await.unwrap().1.contains("\"errcode\":42001"));
    let token = bench.stable_token().await;
    bench.simulator.fault(fault(FaultKind::InvalidateToken)).unwrap();
    assert!(send_raw(&bench, &token).await.unwrap().1.contains("\"errcode\":40001"));
    assert_eq!(bench.send_text("a").await, 0);
}

#[tokio::test]
async fn faults_can_be_called_off_and_misspelt_ones_are_refused() {
    let bench = bench_with_window().await;
    order(&bench, json!({ "kind": "errcode", "errcode": -1, "times": 5 })).await;
    let deleted: Value = bench.http.delete(bench.url("/simulator/faults")).send().await.unwrap().json().await.unwrap();
    assert_eq!(deleted, json!({ "unused": 5 }));
    assert_eq!(bench.send_text("a").await, 0);
    for fault in [
        json!({ "kind": "errcode", "path": "custom/sent", "errcode": 1 }),
        json!({ "kind": "errcode", "path": "custom/send" }),
        json!({ "kind": "errcode", "errcode": 1, "time": 3 }),
        json!({ "kind": "expire_token", "account": "wxother" }),
    ] {
        assert!(bench.post("/simulator/faults", &fault).await["error"].is_string(), "{fault}");
    }
    assert_eq!(bench.get(&format!("/simulator/users/{APPID}/{USER}")).await["known"], true);
}
