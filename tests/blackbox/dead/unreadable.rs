//! Pushes that are WeChat's and cannot be read: their bytes in `kefu dead`, and their replay.

use base64::prelude::{BASE64_STANDARD, Engine};
use kefu_embedded::Database;
use kefu_embedded::queue::EmbeddedQueue;
use kefu_harness::rabbitmq::Vhost;
use kefu_harness::secrets::Secrets;
use kefu_harness::shop::texts;
use kefu_harness::wechat::Format;
use kefu_messages::envelope::Envelope;
use kefu_messages::unreadable::Unreadable;
use kefu_wechat::push::PushError;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};

use super::*;

const USER: &str = "oUSERofTheShop";
const SAID: &str = "a question that nobody else may read";
/// As the shop is started with.
const PARTITIONS: u16 = 8;

/// Bytes, the parser's reason, and how a terminal shows them.
fn unreadable() -> Vec<(Vec<u8>, &'static str, String)> {
    let cut = format!("<xml><FromUserName>{USER}</FromUserName><Content><![CDATA[{SAID}");
    let (array, doctype) = (format!(r#"[{{"Content":"{SAID}"}}]"#), format!("<!DOCTYPE x><xml>{SAID}</xml>"));
    let deep = format!("{{\"FromUserName\":\"o\",\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        (cut.clone().into_bytes(), "not well-formed XML", cut),
        (array.clone().into_bytes(), "begins as a JSON array", array),
        (doctype.clone().into_bytes(), "DOCTYPE", doctype),
        (deep.clone().into_bytes(), "deeper than 64 levels", deep),
        (Vec::new(), "the body is empty", "(no bytes)".to_owned()),
        (
            b"<xml>\xe5\xae\xff\x00\x1b[2J".to_vec(),
            "not well-formed XML",
            r"<xml>\xe5\xae\xff\u{0}\u{1b}[2J".to_owned(),
        ),
        (b"\xff\xfe<\x00x\x00".to_vec(), "neither XML nor JSON", r"\xff\xfe<\u{0}x\u{0}".to_owned()),
    ]
}

async fn the_very_bytes_are_shown_and_replayed(backend: Backend) {
    let shop = Shop::start(ShopOptions::new(backend).with("telemetry", "log_filter = \"trace\"")).await;
    let (config, account) = (shop.stack.config(), &shop.accounts[0]);
    let cases = unreadable();
    for (bytes, ..) in &cases {
        for _ in 0..3 {
            let answer = shop.stack.pushes.send(&account.appid, &account.push_raw(Format::Xml, bytes)).await;
            assert!(answer.is_success(), "{answer:?}");
        }
    }
    // A re-send is no other dead letter.
    let letters = listed(config, cases.len()).await;
    let ids: Vec<&str> = letters.iter().map(|letter| string(letter, "id")).collect();
    let brief = shown(config, &ids, &[]).await;
    let whole = shown(config, &ids, &["--with-content"]).await;
    let lines: Vec<&str> = whole.lines().collect();
    let objects = shown(config, &ids, &["--with-content", "--json"]).await;
    let objects: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (bytes, reason, shown) in &cases {
        let base64 = BASE64_STANDARD.encode(bytes);
        let letter = objects.iter().find(|letter| string(&letter["content"], "bytes") == base64);
        let letter = letter.unwrap_or_else(|| panic!("no dead letter has these bytes: {shown:.100}"));
        assert_eq!((string(letter, "reason"), string(letter, "account")), ("unreadable", shop.appid()));
        assert_eq!((string(letter, "kind"), letter["attempts"].as_u64()), ("kefu_unreadable", Some(1)));
        assert_eq!((&letter["user"], &letter["content"]["user"]), (&Value::Null, &Value::Null));
        assert!(string(letter, "last_error").contains(reason), "{letter:.1000}");
        assert!(brief.contains(reason), "{reason} is not in:\n{brief}");
        assert!(lines.contains(&&*format!("  content      {shown}")), "{shown:.100} is not in:\n{whole:.3000}");
        let base64 = Some(format!("  base64       {base64}")).filter(|_| !bytes.is_empty());
        assert!(base64.iter().all(|line| lines.contains(&line.as_str())), "{whole:.3000}");
    }
    assert!(lines.iter().all(|line| line.trim() != "base64"), "no line for the Base64 of no bytes");
    assert_eq!(
        lines.iter().filter(|line| **line == "  message      not readable").count(),
        cases.len(),
        "{whole:.3000}"
    );
    assert!(!whole.contains("kefu_unreadable"), "{whole:.3000}");
    assert!(!brief.contains(SAID) && !brief.contains(USER), "{brief}");
    listed(config, cases.len()).await;
    let table = printed(config, &["list"]).await;
    assert!(!table.contains(SAID) && !table.contains(USER), "{table}");

    // It holds nobody up, and a replay that cannot read it either leaves it as it was.
    shop.push(USER, Message::text("hi")).await;
    shop.replies_within(USER, 1).await;
    eventually(PATIENCE, "all are replayed and dead letters again", async || {
        printed(config, &["replay", "--reason", "unreadable"]).await;
        let letters = list(config, &["--reason", "unreadable"]).await;
        let again = letters.iter().filter(|letter| letter["replays"].as_u64() >= Some(1)).count();
        if again == cases.len() { Ok(()) } else { Err(again) }
    })
    .await;
    assert_eq!(shop.calls(SEND).len(), 1, "nothing is sent for what cannot be read");
    let worker = shop.stack.programs.last().unwrap();
    let dead = worker.metric(r#"kefu_worker_dead_letters_total{reason="unreadable"}"#).await;
    assert!(dead >= 2.0 * cases.len() as f64, "{dead}");
    let secrets = Secrets::default().with("what the user wrote", SAID).with("the user", USER);
    shop.stack.programs.iter().for_each(|program| secrets.must_not_be_in(&program.output()));
}

/// `show IDS ARGS`. What an earlier look took is out of sight until the broker has it back.
async fn shown(config: &Path, ids: &[&str], args: &[&str]) -> String {
    let all = [&["show"], ids, args].concat();
    eventually(PATIENCE, "all of them are in sight", async || {
        let output = kefu_dead(config, &all).await;
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    })
    .await
}

on_each_backend!(the_very_bytes_are_shown_and_replayed);

/// A text of the user as an earlier kefu stored it that could not read it.
fn of_an_earlier_kefu(appid: &str) -> Envelope {
    let text = kefu_harness::wechat::Message::text(USER, "the text").to_text(Format::Xml);
    let error = PushError::UnknownFormat;
    Envelope::of_unreadable(appid, Unreadable::new(text.into_bytes(), &error), kefu_runtime::clock::now_ms())
}

const ECHO: &str = "[[rule]]\nwhen = { type = \"text\" }\nreply = [{ text = \"you wrote: {content}\" }]\n";

#[tokio::test]
async fn a_dead_letter_that_this_version_can_read_is_answered_when_it_is_replayed() {
    let shop = Shop::start(ShopOptions { rules: ECHO.to_owned(), ..ShopOptions::new(Backend::Production) }).await;
    let config = shop.stack.config();
    put_into_the_dead_letters(shop.stack.vhost(), &of_an_earlier_kefu(shop.appid())).await;
    let letters = listed(config, 1).await;
    assert_eq!(string(&letters[0], "reason"), "unreadable");
    // The push of the user opens the window for it.
    shop.push(USER, Message::text("hi")).await;
    shop.replies_within(USER, 1).await;
    assert_eq!(printed(config, &["replay", string(&letters[0], "id")]).await, "1 dead letter replayed\n");
    let replies = shop.replies_within(USER, 2).await;
    assert_eq!(texts(&replies), ["you wrote: hi", "you wrote: the text"]);
    listed(config, 0).await;
}

async fn put_into_the_dead_letters(vhost: &Vhost, envelope: &Envelope) {
    let connection = Connection::connect(&vhost.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut headers = lapin::types::FieldTable::default();
    headers.insert("x-reason".into(), lapin::types::AMQPValue::LongString("unreadable".into()));
    headers.insert("x-died-at".into(), i64::try_from(envelope.received_at_ms).unwrap().into());
    let properties = BasicProperties::default().with_headers(headers).with_message_id(envelope.key.to_string().into());
    let (options, body) = (BasicPublishOptions::default(), envelope.to_json());
    let sent = channel.basic_publish("kefu.dead".into(), "p00".into(), options, &body, properties).await;
    assert!(sent.unwrap().await.unwrap().is_ack());
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn a_push_that_an_earlier_kefu_could_not_read_is_answered_by_a_later_one() {
    let options = ShopOptions { rules: ECHO.to_owned(), ..ShopOptions::new(Backend::Embedded) };
    let mut shop = Shop::start(options).await;
    shop.push(USER, Message::text("hi")).await;
    shop.replies_within(USER, 1).await;
    // Else the reply may count as one that may not have been sent, and be sent again.
    shop.stack.programs[0].counts(r#"kefu_worker_messages_total{outcome="done"}"#, 1).await;
    shop.stack.programs[0].kill();
    let folder = shop.stack.config().parent().unwrap().join("data");
    let database = Database::open(&folder).unwrap();
    let queue = EmbeddedQueue::open(&database).await.unwrap();
    queue
        .publisher(PARTITIONS)
        .publish(&of_an_earlier_kefu(shop.appid()), kefu_queue::Turn::unordered())
        .await
        .unwrap();
    drop(queue);
    database.close().await;
    shop.stack.crash_and_restart_ingress().await;
    assert_eq!(texts(&shop.replies_within(USER, 2).await), ["you wrote: hi", "you wrote: the text"]);
    listed(shop.stack.config(), 0).await;
}
