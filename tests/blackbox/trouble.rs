//! What kefu says and does while something that it stands on is in trouble.

use std::time::Duration;

use kefu_harness::port::PortLease;
use kefu_harness::shop::{Shop, ShopOptions, simulated};
use kefu_harness::stack::{Backend, Stack, StackOptions};
use kefu_harness::wechat::{self, Account, Format, Mode};
use kefu_simulator::{FaultKind, FaultRequest, Message, PushRequest, Simulator, SimulatorConfig};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn wechat_out_of_reach_is_told_at_once_and_that_it_is_back() {
    let (port, account) = (PortLease::take(), Account::random(Mode::Safe));
    let api = format!("http://127.0.0.1:{}", port.port());
    let mut options = StackOptions::new(Backend::Embedded, vec![account.clone()], api);
    options.rules = "[[rule]]\nwhen = {}\nreply = [{ text = \"hi\" }]\n".to_owned();
    let stack = Stack::start(options).await;
    let program = &stack.programs[0];
    program.counts("kefu_worker_wechat_unreachable", 0).await;
    let answer = stack.pushes.push(&account, Format::Xml, &wechat::Message::text("oUSER", "hello")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "success"));

    // Not only when the message has been tried for a minute.
    timeout(PATIENCE, program.logs("WeChat's API cannot be reached")).await.expect("it is told at once");
    program.says("/readyz", 200, &["\"worker_wechat\":\"degraded: WeChat's API is not reached"]).await;
    program.counts("kefu_worker_wechat_unreachable", 1).await;

    let mut config = SimulatorConfig::new(vec![simulated(&account)]);
    config.listen = ([127, 0, 0, 1], port.port()).into();
    let simulator = Simulator::start(config).await.unwrap();
    program.says("/readyz", 200, &["\"worker_wechat\":\"up\""]).await;
    program.counts("kefu_worker_wechat_unreachable", 0).await;
    program.logs("WeChat's API is reached again").await;
    let output = program.output();
    assert_eq!(output.matches("WeChat's API cannot be reached").count(), 1, "once an outage: {output}");
    drop(simulator);
}

#[tokio::test]
async fn after_a_kill_a_message_in_work_goes_on_at_once() {
    // A lease outlasts a call: those of the killed process would be waited for more than a minute.
    let mut shop = Shop::start(ShopOptions::new(Backend::Embedded).with("wechat", "timeout_ms = 60_000")).await;
    shop.hangs_in_a_send("oUSER", "hi").await;
    shop.crash_and_restart_ingress().await;
    shop.replies_within("oUSER", 1).await;
}

#[tokio::test]
async fn an_account_that_wechat_refuses_is_named_and_holds_up_no_other() {
    let mut options = ShopOptions::new(Backend::Production);
    options.accounts.push(Account::random(Mode::Safe));
    let shop = Shop::start(options).await;
    let (refused, other) = (shop.accounts[0].appid.clone(), shop.accounts[1].appid.clone());
    let wrong_secret = FaultRequest {
        account: Some(refused.clone()),
        errcode: Some(40125),
        ..FaultRequest::new(FaultKind::Errcode, "stable_token")
    };
    shop.simulator.fault(wrong_secret).unwrap();
    shop.push("oREFUSED", Message::text("hi")).await;
    let worker = &shop.stack.programs[1];
    worker.says("/readyz", 200, &[&format!("\"worker_accounts\":\"degraded: {refused} is paused")]).await;
    worker.counts(&format!("kefu_worker_account_paused{{account=\"{refused}\"}}"), 1).await;
    let request = PushRequest::new(other.as_str(), "oOTHER", Message::text("hi"));
    assert!(shop.send(request).await.answered);
    shop.replies_within("oOTHER", 1).await;
    assert!(shop.replies("oREFUSED").is_empty(), "the account is paused");
}

#[tokio::test]
async fn a_database_file_that_is_deleted_under_kefu_is_reported() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let file = shop.stack.config().with_file_name("data").join("kefu.redb");
    std::fs::remove_file(&file).unwrap();
    shop.stack.programs[0].says("/readyz", 503, &["kefu.redb is gone"]).await;
    shop.stack.programs[0].logs("the database file is not where it was").await;
    shop.push("oUSER", Message::text("hi")).await;
    shop.replies_within("oUSER", 1).await;
}
