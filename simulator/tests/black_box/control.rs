use std::time::Duration;

use kefu_simulator::{Entry, Event, Filter, Limits, Message, Simulator, SimulatorConfig, StartError};
use serde_json::{Value, json};

use crate::bench::{APPID, Bench, USER, account};
use crate::callback::{Callback, success};

#[tokio::test]
async fn everything_can_be_asked_for_over_http() {
    let callback = Callback::start([success()]);
    let bench = Bench::start(None).await;
    bench.post("/simulator/callback", &json!({ "account": APPID, "url": callback.url })).await;
    let push = json!({
        "account": APPID, "user": USER, "format": "json", "mode": "safe", "times": 2, "msg_id": 23637352235060880_u64,
        "message": { "type": "miniprogrampage", "title": "t", "page_path": "pages/a" }
    });
    let report = bench.post("/simulator/push", &push).await;
    assert_eq!((&report["answered"], &report["msg_id"]), (&json!(true), &json!("23637352235060880")), "{report}");
    assert_eq!(report["copies"][1]["tries"][0]["outcome"], "success");
    let as_it_is = json!({
        "account": APPID, "user": USER, "format": "xml", "mode": "plain", "cdata": "as_it_is", "times": 2,
        "message": { "type": "text", "content": "arr[b[0]]>1" }
    });
    assert_eq!(bench.post("/simulator/push", &as_it_is).await["answered"], true);
    let body = callback.seen().pop().unwrap().body;
    assert!(body.contains("<Content><![CDATA[arr[b[0]]>1]]></Content>"), "{body}");
    assert_eq!(bench.post("/simulator/verify", &json!({ "account": APPID })).await["ok"], false);

    let entries: Vec<Entry> = serde_json::from_value(bench.get("/simulator/journal").await).unwrap();
    let kinds = |wanted: fn(&Event) -> bool| entries.iter().filter(|entry| wanted(&entry.event)).count();
    assert_eq!(kinds(|event| matches!(event, Event::Push(_))), 4);
    assert_eq!(kinds(|event| matches!(event, Event::PushAnswer(_))), 4);
    let of_user = bench.get(&format!("/simulator/journal?user={USER}&since=1&kind=push")).await;
    assert_eq!(of_user.as_array().unwrap().len(), 3);
    assert_eq!(of_user[0]["message"]["type"], "miniprogrampage");
}

#[tokio::test]
async fn mistakes_are_answered_in_words() {
    let bench = Bench::start(None).await;
    let status = async |path: &str, body: &str| {
        let request = bench.http.post(bench.url(path)).header("Content-Type", "application/json");
        let response = request.body(body.to_owned()).send().await.unwrap();
        let status = response.status().as_u16();
        assert!(response.json::<Value>().await.unwrap()["error"].is_string());
        status
    };
    assert_eq!(status("/simulator/push", "{").await, 400);
    let misspelt = json!({ "account": APPID, "user": USER, "message": { "type": "text", "content": "a" }, "tims": 2 });
    assert_eq!(status("/simulator/push", &misspelt.to_string()).await, 400);
    assert_eq!(status("/simulator/verify", r#"{"account":"wxother"}"#).await, 404);
    assert_eq!(status("/simulator/nothing", "{}").await, 404);
    assert_eq!(status("/simulator/callback", &json!({ "account": APPID, "url": "x" }).to_string()).await, 400);
    assert!(bench.get("/simulator/journal?sinse=1").await["error"].is_string());
    assert!(bench.get("/simulator/journal/wait?count=1&sinse=1").await["error"].is_string());
}

#[tokio::test]
async fn waiting_for_the_journal_ends_with_the_entry_or_with_the_time() {
    let bench = Bench::start(None).await;
    let wait = bench.url("/simulator/journal/wait?count=2&timeout_ms=60000&path=custom/send&since=0");
    let waiting = tokio::spawn(bench.http.get(wait).send());
    bench.send_text("1").await;
    bench.send_text("2").await;
    let found: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(found["complete"], true);
    let seqs: Vec<_> =
        found["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [2, 4]);
    let none = bench.get("/simulator/journal/wait?timeout_ms=20&delivered=true").await;
    assert_eq!(none, json!({ "complete": false, "entries": [] }));

    let cleared: Value = bench.http.delete(bench.url("/simulator/journal")).send().await.unwrap().json().await.unwrap();
    assert_eq!(cleared, json!({ "cleared": 4, "last": 4 }));
    assert!(bench.simulator.journal(&Filter::default()).is_empty());
}

#[tokio::test]
async fn limits_and_time_can_be_set_while_it_runs() {
    let bench = Bench::start(None).await;
    let patch = async |body: Value| -> Value {
        bench.http.patch(bench.url("/simulator/limits")).json(&body).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(patch(json!({ "message_replies": 1 })).await["message_replies"], 1);
    assert!(patch(json!({ "mesage_replies": 1 })).await["error"].is_string());
    bench.user_does(Message::text("hi")).await;
    assert_eq!((bench.send_text("1").await, bench.send_text("2").await), (0, 45047));
    let before = bench.get("/simulator/clock").await["now_ms"].as_i64().unwrap();
    let after = bench.post("/simulator/clock", &json!({ "advance_ms": 172_800_000 })).await["now_ms"].as_i64().unwrap();
    assert!(after - before >= 172_800_000);
    assert_eq!(bench.send_text("3").await, 45015);
}

#[tokio::test]
async fn the_chat_page_needs_nothing_from_elsewhere() {
    let bench = Bench::start(None).await;
    let response = bench.http.get(bench.url("/")).send().await.unwrap();
    assert!(response.headers()["Content-Type"].to_str().unwrap().starts_with("text/html"));
    let page = response.text().await.unwrap();
    assert!(page.contains("</html>") && !page.contains("http://") && !page.contains("https://"));
    let accounts = bench.get("/simulator/accounts").await;
    assert_eq!(accounts[0]["appid"], APPID);
    assert!(!accounts.to_string().contains("secret"));
}

#[tokio::test]
async fn a_shutdown_ends_those_who_wait_and_frees_the_port() {
    let bench = Bench::start(None).await;
    let wait = bench.url("/simulator/journal/wait?timeout_ms=60000");
    let waiting = tokio::spawn(bench.http.get(wait).send());
    bench.send_text("a").await;
    let addr = bench.simulator.addr();
    bench.simulator.shutdown().await;
    // Answered, or refused if it came too late; but over.
    waiting.await.unwrap().ok();
    drop(std::net::TcpListener::bind(addr).unwrap());
}

#[tokio::test]
async fn a_wrong_configuration_does_not_start() {
    let Err(error) = Simulator::start(SimulatorConfig::new(Vec::new())).await else { panic!() };
    assert!(matches!(error, StartError::Config(_)));
    let mut config = SimulatorConfig::new(vec![account(None)]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.listen = taken.local_addr().unwrap();
    config.limits = Limits::default();
    assert!(matches!(Simulator::start(config).await, Err(StartError::Listen(..))));
    tokio::time::timeout(Duration::from_secs(5), Bench::start(None)).await.unwrap();
}
