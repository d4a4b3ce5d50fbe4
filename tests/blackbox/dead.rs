//! `kefu dead`, as an operator types it, while kefu works.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_harness::{eventually, target};
use kefu_simulator::{FaultKind, FaultRequest, Message};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

mod asking;
mod many;
mod replaying;
mod unreadable;

const PATIENCE: Duration = Duration::from_secs(60);
const SEND: &str = "custom/send";
/// No such user: WeChat never takes the reply.
const REFUSED: i64 = 40_003;

/// `kefu dead ARGS --config FILE`, not yet started.
fn command(config: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(target::program("kefu"));
    command.arg("dead").args(args).arg("--config").arg(config).kill_on_drop(true);
    command.stdin(Stdio::null()).env_remove("KEFU_CONFIG");
    command
}

async fn kefu_dead(config: &Path, args: &[&str]) -> Output {
    timeout(PATIENCE, command(config, args).output()).await.expect("it ends").unwrap()
}

/// What it printed; it must end well.
pub(super) async fn printed(config: &Path, args: &[&str]) -> String {
    let output = kefu_dead(config, args).await;
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{args:?}");
    text(&output.stdout)
}

/// What it said on standard error; it must end with status 1, or 2 for arguments that make no sense.
async fn complaint(config: &Path, args: &[&str]) -> String {
    let output = kefu_dead(config, args).await;
    let complaint = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {:?} {complaint}", output.status);
    assert!(!complaint.is_empty() && !complaint.contains("panicked"), "{args:?}: {complaint}");
    complaint
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `list --json` with these filters.
async fn list(config: &Path, filters: &[&str]) -> Vec<Value> {
    let args = [&["list", "--json"], filters].concat();
    let lines = printed(config, &args).await;
    lines.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

/// Waits until there are `count` dead letters.
pub(super) async fn listed(config: &Path, count: usize) -> Vec<Value> {
    eventually(PATIENCE, &format!("{count} dead letters"), async || {
        let letters = list(config, &[]).await;
        if letters.len() == count { Ok(letters) } else { Err(format!("there are {}", letters.len())) }
    })
    .await
}

/// Has `count` users write, and WeChat refuse the replies.
async fn with_dead_letters(options: ShopOptions, count: u32) -> (Shop, Vec<String>) {
    let shop = Shop::start(options).await;
    refuse(&shop, count);
    let users: Vec<String> = (0..count).map(|n| format!("oUSERnumber{n:05}")).collect();
    for some in users.chunks(100) {
        let pushes = some.iter().map(|user| shop.push(user, Message::text("a question")));
        assert!(futures_util::future::join_all(pushes).await.iter().all(|report| report.answered));
    }
    listed(shop.stack.config(), users.len()).await;
    (shop, users)
}

/// WeChat refuses the next replies.
fn refuse(shop: &Shop, times: u32) {
    let fault = FaultRequest { times, errcode: Some(REFUSED), ..FaultRequest::new(FaultKind::Errcode, SEND) };
    shop.simulator.fault(fault).unwrap();
}

fn string<'a>(letter: &'a Value, key: &str) -> &'a str {
    letter[key].as_str().unwrap_or_else(|| panic!("no text {key} in {letter}"))
}
