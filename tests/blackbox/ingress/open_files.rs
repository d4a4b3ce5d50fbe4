//! The limit of open files.

use std::time::Duration;

use kefu_harness::process::{Launch, Role};
use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::wechat::{Account, Format, Message, Mode};
use tokio::net::TcpStream;

use super::{Ingress, USER, assert_success};

/// Starts it below a shell that sets a limit.
async fn limited(account: &Account, ulimit: &str, max_connections: u32) -> Ingress {
    let mut options = StackOptions::new(Backend::Production, vec![account.clone()], "http://127.0.0.1:9");
    options.settings.push(("ingress", format!("max_connections = {max_connections}")));
    let script = format!("ulimit {ulimit} && exec \"$@\"");
    Ingress::start_as(options, |mut launch: Launch| {
        let program = std::mem::replace(&mut launch.program, "sh".into());
        launch.args.splice(0..0, ["-c".into(), script.into(), "sh".into(), program.into()]);
        launch
    })
    .await
}

#[tokio::test]
async fn a_low_soft_limit_is_raised() {
    let account = Account::random(Mode::Plain);
    let ingress = limited(&account, "-Sn 100", 600).await;
    let mut connections = Vec::new();
    for _ in 0..200 {
        connections.push(TcpStream::connect(ingress.program.address(Role::Public)).await.unwrap());
    }
    let answer = ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "hi")).await;
    assert_success(&answer, "beside 200 others");
    assert!(answer.duration < Duration::from_secs(4), "it waited until others were closed: {:?}", answer.duration);
    assert!(!ingress.program.output().contains("open files"), "{}", ingress.program.output());
}

#[tokio::test]
async fn a_hard_limit_that_is_too_low_is_named_at_the_start() {
    let account = Account::random(Mode::Plain);
    let ingress = limited(&account, "-n 500", 4_000).await;
    let log = ingress.program.output();
    let warning = log.lines().find(|line| line.contains("max_connections")).unwrap_or_else(|| panic!("{log}"));
    assert!(warning.contains("WARN") && warning.contains("4000") && warning.contains(" 500"), "{warning}");
    assert_success(&ingress.pushes.push(&account, Format::Xml, &Message::text(USER, "hi")).await, "all the same");
}
