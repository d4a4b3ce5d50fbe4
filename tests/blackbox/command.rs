//! The command `kefu`, as a newcomer types it.

use std::ffi::OsString;
use std::process::Output;
use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::process::{Launch, Program, Wait};
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_harness::target;
use kefu_simulator::Message;
use tokio::process::Command;
use tokio::time::timeout;

mod mistakes;
mod rules;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it to its end, with a proxy in the environment that this machine's own addresses must not be asked of.
async fn kefu(args: &[&str]) -> Output {
    let mut command = Command::new(target::program("kefu"));
    let run = command.args(args).env("http_proxy", "http://127.0.0.1:1").kill_on_drop(true).output();
    timeout(Duration::from_secs(120), run).await.expect("it ends").unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_demo_plays_every_message_and_ends_well() {
    let output = kefu(&["demo", "--once"]).await;
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
    for part in
        ["user_enter_tempsession", "image", "miniprogrampage", "link", "XML, plain", "JSON, safe", "XML, compat"]
    {
        assert!(shown.contains(part), "{part} is not shown:\n{shown}");
    }
    let answers = shown.matches("answer success after").count();
    assert_eq!((answers, shown.matches("    reply ").count()), (14, 14), "{shown}");
    assert!(shown.contains("all 14 replies arrived once and in order"), "{shown}");
    assert!(text(&output.stderr).is_empty(), "{}", text(&output.stderr));
}

/// Starts `kefu demo` and waits until it has printed this.
async fn demo_until(args: &[&str], printed: &str) -> Program {
    let args = args.iter().map(OsString::from).collect();
    let (program, environment, listens) = (target::program("kefu"), Vec::new(), Vec::new());
    let demo = Program::start(Launch { program, args, environment, listens, wait: Wait::Nothing }).await;
    eventually(PATIENCE, &format!("it prints {printed:?}"), async || {
        let output = demo.output();
        if output.contains(printed) { Ok(()) } else { Err(output) }
    })
    .await;
    demo
}

#[tokio::test]
async fn the_demo_stays_up_and_what_it_prints_pushes_by_hand() {
    let demo = demo_until(&["demo"], "See what arrived").await;
    let shown = demo.output();
    let line = shown.lines().find(|line| line.contains("at ingress:")).expect("it says how to push");
    let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word != "push").collect();
    let output = kefu(&words).await;
    assert!(output.status.success() && text(&output.stdout).contains("success"), "{line}\n{output:?}");
    demo.terminate();
    let (status, shown) = demo.end_within(PATIENCE).await;
    assert!(status.success(), "{shown}");
}

#[tokio::test]
async fn a_demo_that_ends_before_every_reply_arrived_says_so_by_its_exit_status() {
    let demo = demo_until(&["demo", "--once"], "kefu ").await;
    demo.terminate();
    let (status, shown) = demo.end_within(PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{shown}");
}

/// `kefu push` to the shop's account, with this Token.
async fn kefu_push(shop: &Shop, token: &str, message: &[&str]) -> Output {
    let account = &shop.accounts[0];
    let (url, key) = (shop.stack.callback(account), &account.encoding_aes_key);
    kefu(&[&["push", "--url", &url, "--token", token, "--encoding-aes-key", key], message].concat()).await
}

#[tokio::test]
async fn kefu_push_is_taken_as_wechats_own_and_a_copy_of_it_as_a_copy() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    // WeChat knows the user by this, and allows 5 replies.
    shop.push("oUSER", Message::text("hello")).await;
    for (format, msg_id, said) in [("xml", "1", "arr[b[0]]>1"), ("json", "2", "你好"), ("json", "2", "你好")] {
        let message = ["--user", "oUSER", "--format", format, "--msg-id", msg_id, "--unescaped", "--text", said];
        let output = kefu_push(&shop, &shop.accounts[0].token, &message).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("success"), "{}", text(&output.stdout));
    }
    // Handled after all of them: a reply to the copy would be there by then.
    shop.push("oUSER", Message::text("goodbye")).await;
    shop.replies_within("oUSER", 4).await;
}

#[tokio::test]
async fn kefu_push_says_when_it_is_refused() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let output = kefu_push(&shop, "wrong", &["--text", "x"]).await;
    assert!(!output.status.success());
    assert!(text(&output.stdout).contains("401"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("refused: Token, EncodingAESKey"), "{}", text(&output.stderr));
}
