//! Questions that make no sense, and nobody to ask.

use kefu_harness::folder::Folder;
use kefu_harness::port::PortLease;
use kefu_harness::stack::StackOptions;
use kefu_harness::wechat::{Account, Mode};

use super::*;

/// A configuration of a backend that nothing runs on.
fn configured(backend: Backend, queue: &str, store: &str) -> Folder {
    let folder = Folder::new("dead");
    let options = StackOptions::new(backend, vec![Account::random(Mode::Safe)], "http://127.0.0.1:1");
    folder.write("kefu.toml", options.config(queue, store));
    folder
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words_and_changes_nothing() {
    let (shop, _) = with_dead_letters(ShopOptions::new(Backend::Embedded), 1).await;
    let config = shop.stack.config();
    let id = string(&list(config, &[]).await[0], "id").to_owned();
    let cases: [(&[&str], &str); 14] = [
        (&["list", "--reason", "bored"], "window_closed"),
        (&["list", "--since", "yesterday"], "2h"),
        (&["list", "--since", "-2h"], "2h"),
        (&["list", "--since", "2026-11-22"], "2h"),
        (&["list", "--max", "0"], "1.."),
        (&["list", "--max", "many"], "--max"),
        (&["show"], "<ID>"),
        (&["show", "0123456789ab"], "no dead letter has the id 0123456789ab"),
        (&["replay"], "required arguments were not provided"),
        (&["drop"], "required arguments were not provided"),
        (&["drop", "--max", "1"], "required arguments were not provided"),
        (&["drop", "--dry-run"], "required arguments were not provided"),
        (&["drop", &id, "--all"], "--all"),
        (&["drop", "0123456789ab", "\u{1b}[2J"], r"no dead letter has the id \u{1b}[2J"),
    ];
    for (args, part) in cases {
        let complaint = complaint(config, args).await;
        assert!(complaint.contains(part) && !complaint.contains('\u{1b}'), "{args:?}: {complaint}");
    }
    assert_eq!(list(config, &[]).await.len(), 1);
    // One that is there and one that is not: the first is done, and the status tells of the second.
    let complaint = complaint(config, &["drop", &id, "0123456789ab"]).await;
    assert!(complaint.contains("0123456789ab") && !complaint.contains(&id), "{complaint}");
    assert_eq!(printed(config, &["list"]).await, "no dead letters\n");
}

#[tokio::test]
async fn filters_select() {
    let (shop, _) = with_dead_letters(ShopOptions::new(Backend::Embedded), 2).await;
    let config = shop.stack.config();
    for (filters, count) in [
        (&["--account", shop.appid()][..], 2),
        (&["--account", "wx0000000000000000"], 0),
        (&["--reason", "refused"], 2),
        (&["--reason", "window_closed"], 0),
        (&["--since", "1d"], 2),
        (&["--since", "2099-01-01T00:00:00+08:00"], 0),
        (&["--since", "1h", "--reason", "refused", "--max", "1"], 1),
    ] {
        assert_eq!(list(config, filters).await.len(), count, "{filters:?}");
    }
    let dropped = printed(config, &["drop", "--reason", "refused", "--since", "2h"]).await;
    assert_eq!(dropped, "2 dead letters dropped\n");
}

#[tokio::test]
async fn a_configuration_that_is_missing_or_wrong_is_said() {
    let missing = complaint(Path::new("/nonexistent/kefu.toml"), &["list"]).await;
    assert!(missing.contains("/nonexistent/kefu.toml"), "{missing}");
    let folder = Folder::new("dead");
    let wrong = folder.write("kefu.toml", "[queue]\nurl = \"http://h\"\n");
    let wrong = complaint(&wrong, &["list"]).await;
    assert!(wrong.contains("[store]: url"), "{wrong}");
}

#[tokio::test]
async fn a_broker_that_is_away_is_said_and_not_waited_for() {
    let nobody = PortLease::take();
    let url = format!("amqp://kefu:hunter2@127.0.0.1:{}/%2f", nobody.port());
    let folder = configured(Backend::Production, &url, "redis://127.0.0.1:1");
    let began = Instant::now();
    let away = complaint(&folder.path().join("kefu.toml"), &["list"]).await;
    // One that says nothing is given 8 s; the rest is for a busy machine to start a process.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(away.contains("cannot be reached") && away.contains("127.0.0.1"), "{away}");
    assert!(!away.contains("hunter2"), "{away}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() {
    let folder = configured(Backend::Embedded, "embedded:data", "embedded:data");
    let none = complaint(&folder.path().join("kefu.toml"), &["list"]).await;
    assert!(none.contains("kefu.redb") && none.contains("no kefu has run"), "{none}");
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn only_who_reads_the_data_folder_may_ask_kefu_serve() {
    let (shop, _) = with_dead_letters(ShopOptions::new(Backend::Embedded), 1).await;
    let folder = shop.stack.config().parent().unwrap().join("data");
    let file = folder.join("serve.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let access: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let url = format!("http://{}/internal/dead-letters", string(&access, "address"));
    let client = reqwest::Client::new();
    let order = r#"{"action":"drop","all":true}"#;
    let post = async |key: &str, kind: &str, body: &str| {
        let request = client.post(&url).bearer_auth(key).header("content-type", kind).body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    let key = string(&access, "key");
    assert_eq!(post("", "application/json", order).await, 401);
    assert_eq!(post(&key[1..], "application/json", order).await, 401);
    assert_eq!(post(key, "text/plain", order).await, 415);
    assert_eq!(post(key, "application/json", "{}").await, 400);
    assert_eq!(post(key, "application/json", r#"{"action":"drop","everything":true}"#).await, 400);
    assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 404);
    assert_eq!(list(shop.stack.config(), &[]).await.len(), 1);
    assert_eq!(post(key, "application/json", order).await, 200);
    assert_eq!(list(shop.stack.config(), &[]).await.len(), 0);
    let output = shop.stack.programs[0].output();
    assert!(!output.contains(key), "the key is in the log");
}

#[tokio::test]
async fn ingress_and_worker_alone_have_no_such_resource() {
    let shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    for program in &shop.stack.programs {
        let url = format!("{}/internal/dead-letters", program.url(kefu_harness::process::Role::Internal));
        let status = reqwest::Client::new().post(url).json(&serde_json::json!({})).send().await.unwrap().status();
        assert_eq!(status.as_u16(), 404);
    }
}
