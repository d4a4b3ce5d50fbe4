//! What an operator sees: health, metrics, logs, and a shutdown under load.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::process::{Launch, Program, Role, Wait};
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_simulator::{FaultKind, FaultRequest, Message};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn without_redis_ingress_goes_on_degraded_and_the_worker_waits() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    shop.stack.redis().kill();
    shop.stack.programs[0].says("/readyz", 200, &["degraded"]).await;
    shop.stack.programs[1].says("/readyz", 503, &["\"worker_store\":\"down"]).await;
    let report = shop.push("oUSER", Message::text("hi")).await;
    assert!(report.answered && report.copies[0].tries.len() == 1, "{report:?}");
    let worker = &shop.stack.programs[1];
    worker.counts("kefu_worker_store_outages_total", 1).await;
    assert!(shop.replies("oUSER").is_empty(), "it was sent without the ledger");

    shop.stack.redis().restart().await;
    shop.replies_within("oUSER", 1).await;
    shop.stack.programs[0].says("/readyz", 200, &["\"ingress_store\":\"up\""]).await;
    shop.stack.programs[1].says("/readyz", 200, &["ready"]).await;
}

#[tokio::test]
async fn a_program_is_not_ready_before_its_checks_are_made() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    let config = shop.stack.config();
    let embedded = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let embedded_config = embedded.stack.config().clone();
    for program in embedded.stack.programs {
        program.terminate();
        program.end_within(PATIENCE).await;
    }
    let ingress = ["ingress_queue", "ingress_store"];
    let worker = ["worker_queue", "worker_store", "worker_accounts"];
    let both = [&ingress[..], &worker[..]].concat();
    for (launch, checks) in [
        (Launch::ingress(config), &ingress[..]),
        (Launch::worker(config), &worker[..]),
        (Launch::serve(&embedded_config), &both[..]),
    ] {
        let program = Program::start(Launch { wait: Wait::Listening, listens: vec![Role::Internal], ..launch }).await;
        eventually(PATIENCE, "it is ready", async || {
            let (status, text) = program.ask("/readyz").await;
            assert!(status != 200 || checks.iter().all(|check| text.contains(check)), "ready too early: {text}");
            if status == 200 { Ok(()) } else { Err(text) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_kefu_that_was_stopped_has_closed_its_file() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    for user in ["oONE", "oTWO", "oTHREE"] {
        shop.push(user, Message::text("hello")).await;
        shop.replies_within(user, 1).await;
        shop.stack.stop_and_restart_ingress(PATIENCE).await;
        let output = shop.stack.programs[0].output();
        assert!(!output.contains("was not closed"), "{output}");
        shop.set_callbacks();
    }
}

#[tokio::test]
async fn metrics_name_what_happened_and_nobody_it_happened_to() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    shop.push("oUSER", Message::text("hello there")).await;
    shop.replies_within("oUSER", 1).await;
    for program in &shop.stack.programs {
        assert_eq!(program.ask("/livez").await.0, 200);
    }
    let (status, ingress) = shop.stack.programs[0].ask("/metrics").await;
    assert_eq!(status, 200);
    assert!(ingress.contains(r#"kefu_ingress_answers_total{kind="push",outcome="published"} 1"#), "{ingress}");
    assert!(ingress.contains("kefu_ingress_answer_duration_seconds_bucket"), "{ingress}");
    let worker = &shop.stack.programs[1];
    worker.counts(r#"kefu_worker_messages_total{outcome="done"}"#, 1).await;
    let (_, metrics) = worker.ask("/metrics").await;
    for metrics in [ingress, metrics] {
        assert!(!metrics.contains("oUSER") && !metrics.contains("hello there"), "{metrics}");
    }
}

#[tokio::test]
async fn every_log_line_is_json_where_that_is_asked_for() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    shop.push("oUSER", Message::text("hi")).await;
    shop.replies_within("oUSER", 1).await;
    for program in &shop.stack.programs {
        let output = program.output();
        assert!(output.lines().count() > 0);
        for line in output.lines() {
            let parsed = serde_json::from_str::<serde_json::Value>(line);
            assert!(parsed.is_ok_and(|line| line["level"].is_string()), "{line}");
        }
    }
}

#[tokio::test]
async fn a_shutdown_under_load_ends_in_time_and_neither_loses_nor_doubles() {
    for backend in Backend::ALL {
        // Fewer at once than there are messages, so that some are not begun when the signal comes.
        let mut shop = Shop::start(ShopOptions::new(backend).with("worker", "concurrency = 4")).await;
        // Each send takes a moment, so that some are under way when the signal comes.
        let slow =
            FaultRequest { times: 60, latency_ms: Some(300), ..FaultRequest::new(FaultKind::Latency, "custom/send") };
        shop.simulator.fault(slow).unwrap();
        let users: Vec<String> = (0..60).map(|n| format!("oUSER{n}")).collect();
        let pushes = users.iter().map(|user| shop.push(user, Message::text("hi")));
        assert!(futures_util::future::join_all(pushes).await.iter().all(|report| report.answered));

        let programs = std::mem::take(&mut shop.stack.programs);
        for program in &programs {
            program.terminate();
        }
        for program in programs {
            let (status, output) = program.end_within(Duration::from_secs(20)).await;
            assert_eq!(status.code(), Some(0), "{output}");
        }
        let delivered = users.iter().filter(|user| !shop.replies(user).is_empty()).count();
        assert!(delivered < users.len(), "all was sent before the end: nothing was given back");
        let launch = match backend {
            Backend::Embedded => Launch::serve(shop.stack.config()),
            Backend::Production => Launch::worker(shop.stack.config()),
        };
        shop.stack.programs.push(Program::start(launch).await);
        for user in &users {
            shop.replies_within(user, 1).await;
        }
    }
}
