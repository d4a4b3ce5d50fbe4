//! `kefu doctor`, with everything in order and with each thing broken.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kefu_harness::folder::Folder;
use kefu_harness::shop::{Shop, ShopOptions, simulated};
use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::target;
use kefu_harness::wechat::{Account, Mode};
use kefu_simulator::{Message, Simulator, SimulatorConfig};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

mod folders;
mod queue;
mod store;
mod wechat;

/// What it found, as `--json` tells it.
struct Report {
    ok: bool,
    checks: Vec<Value>,
    took: Duration,
}

impl Report {
    /// The findings of this check, as `status: text -> mend`.
    fn of(&self, check: &str) -> Vec<String> {
        let found = self.checks.iter().filter(|finding| finding["check"] == check);
        let words = |finding: &Value| {
            let mend = finding["mend"].as_str().map(|mend| format!(" -> {mend}")).unwrap_or_default();
            format!("{}: {}{mend}", finding["status"].as_str().unwrap(), finding["text"].as_str().unwrap())
        };
        found.map(words).collect()
    }

    /// Whether a finding of this check starts so, with all these parts in it.
    fn says(&self, check: &str, status: &str, parts: &[&str]) {
        let found = self.of(check);
        let fits = |text: &String| text.starts_with(status) && parts.iter().all(|part| text.contains(part));
        assert!(found.iter().any(fits), "{check:?} does not say {status} and {parts:?}: {:#?}", self.checks);
    }

    /// The checks that failed.
    fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|finding| finding["status"] == "failed");
        failed.map(|finding| finding["check"].as_str().unwrap()).collect()
    }
}

/// `kefu doctor --json --config FILE ARGS`; its exit status must be what its report says.
async fn doctor(config: &Path, args: &[&str]) -> Report {
    let (status, stdout, took) = run(config, &[&["--json"], args].concat()).await;
    let json: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    let ok = json["ok"].as_bool().unwrap();
    assert_eq!(status, Some(i32::from(!ok)), "{stdout}");
    Report { ok, checks: json["checks"].as_array().unwrap().clone(), took }
}

async fn run(config: &Path, args: &[&str]) -> (Option<i32>, String, Duration) {
    let begun = Instant::now();
    let mut command = Command::new(target::program("kefu"));
    command.arg("doctor").arg("--config").arg(config).args(args).env_remove("KEFU_CONFIG").kill_on_drop(true);
    // This machine's own addresses must not be asked of it.
    command.env("http_proxy", "http://127.0.0.1:1");
    let output = timeout(Duration::from_secs(60), command.output()).await.expect("it ends").unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), begun.elapsed())
}

/// A simulated WeChat, and configurations of an account there.
struct Clinic {
    simulator: Simulator,
    account: Account,
    folder: Folder,
}

impl Clinic {
    async fn open() -> Self {
        let account = Account::random(Mode::Safe);
        let mut wechat = simulated(&account);
        wechat.callback_url = Some(format!("https://shop.example/push/{}", account.appid));
        let simulator = Simulator::start(SimulatorConfig::new(vec![wechat])).await.unwrap();
        Self { simulator, account, folder: Folder::new("doctor") }
    }

    /// With these URLs, and with what `change` makes of it.
    fn config(&self, queue: &str, store: &str, change: impl FnOnce(String) -> String) -> PathBuf {
        let backend = if queue.starts_with("amqp") { Backend::Production } else { Backend::Embedded };
        let mut options = StackOptions::new(backend, vec![self.account.clone()], self.simulator.url());
        options.rules = "[[rule]]\nwhen = {}\nreply = [{ text = \"hi\" }]\n".to_owned();
        options.settings = vec![("queue", "partitions = 8".to_owned())];
        self.folder.write("kefu.toml", change(options.config(queue, store)))
    }

    /// With an embedded database that no kefu has used.
    fn embedded(&self, change: impl FnOnce(String) -> String) -> PathBuf {
        self.config("embedded:data", "embedded:data", change)
    }
}

#[tokio::test]
async fn with_all_in_order_nothing_failed_and_nothing_was_changed() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    shop.push("oUSER", Message::text("hi")).await;
    shop.replies_within("oUSER", 1).await;
    let config = shop.stack.config();
    let url = shop.stack.callback(&shop.accounts[0]);
    let secrets = shop.secrets().await;
    let before = shop.calls("stable_token").len() + shop.calls("callback/check").len();

    let (status, shown, _) = run(config, &["--callback-url", &url]).await;
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("\nnothing failed, "), "{shown}");
    secrets.must_not_be_in(&shown);
    let management = shop.stack.vhost().broker().management_url();
    let report = doctor(config, &["--callback-url", &url, "--management-url", &management]).await;
    assert!(report.ok && report.failed().is_empty(), "{:#?}", report.checks);
    let account = &shop.accounts[0].appid;
    for (check, part) in [
        ("configuration", "1 account, 5 rules"),
        ("pictures", "1 picture"),
        (&*format!("account {account}"), "mode safe, a Token of 24 characters, an EncodingAESKey of 43"),
        ("redis", "reached, version "),
        ("redis role", "master: Redis accepts writes"),
        ("redis appendonly", "yes"),
        ("redis maxmemory-policy", "noeviction"),
        ("redis clock", "agrees with that of Redis"),
        ("rabbitmq", "reached"),
        ("rabbitmq version", "ok: 4."),
        ("rabbitmq queues", "all 15 queues are as kefu needs them"),
        ("rabbitmq workers", "1 worker, every partition has a worker, 0 messages wait"),
        ("rabbitmq plugins", "rabbitmq_management"),
        ("wechat clock", "agrees with that of http://127.0.0.1:"),
        (&*format!("wechat {account}"), "gives an access_token"),
        (&*format!("wechat {account} callback"), "WeChat finds its host at 127.0.0.1"),
        ("callback", &*format!("{url} answers WeChat's check as it must")),
    ] {
        report.says(check, "ok", &[part]);
    }
    report.says("callback", "warning", &[&url, "port 80 for http and 443 for https only"]);
    assert_eq!(shop.stack.vhost().ready("kefu.dead").await, Some(0));
    let after = shop.calls("stable_token").len() + shop.calls("callback/check").len();
    assert_eq!(after - before, 4, "a token and a look at the URL, twice");
    assert_eq!(shop.replies("oUSER").len(), 1);
}

#[tokio::test]
async fn a_broken_configuration_is_told_with_all_its_problems() {
    let clinic = Clinic::open().await;
    let config = clinic.embedded(|text| text.split("[[rule]]").next().unwrap().to_owned() + crate::reload::TEN);
    let report = doctor(&config, &[]).await;
    assert_eq!((report.ok, report.failed().len(), report.checks.len()), (false, 10, 10), "{:#?}", report.checks);
    report.says("configuration", "failed", &["[[rule]] 1: when.regex: unclosed group"]);
    let report = doctor(Path::new("/nowhere/kefu.toml"), &[]).await;
    report.says("configuration", "failed", &["/nowhere/kefu.toml", "does not exist"]);
}

#[tokio::test]
async fn secrets_that_were_cut_are_told_by_their_length() {
    let clinic = Clinic::open().await;
    let config = clinic.embedded(|text| text.replace(&clinic.account.secret, &clinic.account.secret[..31]));
    let report = doctor(&config, &[]).await;
    let account = &clinic.account.appid;
    report.says(&format!("account {account}"), "warning", &["the secret has 31 characters", "WeChat's console"]);
    report.says(&format!("wechat {account}"), "failed", &["40125", "copy the AppSecret anew"]);
}
