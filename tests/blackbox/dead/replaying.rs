//! What a replay sends, and what it does not.

use kefu_harness::rabbitmq::Vhost;
use kefu_harness::shop::{request_of, texts};
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Connection, ConnectionProperties};

use super::*;

/// Two replies; WeChat takes the first and refuses the second.
async fn a_message_half_sent(backend: Backend) -> Shop {
    let mut options = ShopOptions::new(backend);
    options.rules =
        "[[rule]]\nwhen = { type = \"text\" }\nreply = [{ text = \"one\" }, { text = \"two\" }]\n".to_owned();
    let shop = Shop::start(options).await;
    // The first fault is none: it lets the first call pass.
    let passing = FaultRequest { latency_ms: Some(1), ..FaultRequest::new(FaultKind::Latency, SEND) };
    shop.simulator.fault(passing).unwrap();
    refuse(&shop, 1);
    shop.push("oUSERofTheShop", Message::text("a secret question")).await;
    shop
}

async fn only_what_was_not_sent_is_sent(backend: Backend) {
    let shop = a_message_half_sent(backend).await;
    let config = shop.stack.config();
    let letters = listed(config, 1).await;
    let letter = &letters[0];
    assert_eq!((string(letter, "reason"), string(letter, "account")), ("refused", shop.appid()));
    assert!(string(letter, "last_error").contains("40003"), "{letter}");
    assert_eq!(texts(&shop.replies("oUSERofTheShop")), ["one"]);

    let id = string(letter, "id");
    let table = printed(config, &["list"]).await;
    assert!(table.contains(id) && table.contains("refused") && table.ends_with("1 dead letter\n"), "{table}");
    let shown = printed(config, &["show", id]).await;
    for part in [id, "oUS…hop", "text", "40003", "once", "never", "an envelope"] {
        assert!(shown.contains(part), "{part} is not shown:\n{shown}");
    }
    for all in [&shown, &table, &format!("{letter}")] {
        assert!(!all.contains("oUSERofTheShop") && !all.contains("secret question"), "{all}");
    }
    let content = printed(config, &["show", id, "--with-content"]).await;
    assert!(content.contains("oUSERofTheShop") && content.contains("a secret question"), "{content}");

    let dry = printed(config, &["replay", id, "--dry-run"]).await;
    assert!(dry.contains(id) && dry.contains("1 dead letter would be replayed"), "{dry}");
    assert_eq!(listed(config, 1).await, letters, "a dry run changed something");
    assert_eq!(printed(config, &["replay", id]).await, "1 dead letter replayed\n");
    assert_eq!(texts(&shop.replies_within("oUSERofTheShop", 2).await), ["one", "two"]);
    listed(config, 0).await;
    assert_eq!(shop.calls(SEND).len(), 3, "one was sent, two was refused, two was sent");
}

on_each_backend!(only_what_was_not_sent_is_sent);

#[tokio::test]
async fn without_kefu_serve_the_file_is_opened_and_what_is_replayed_is_sent_later() {
    let mut shop = a_message_half_sent(Backend::Embedded).await;
    let letters = listed(shop.stack.config(), 1).await;
    let id = string(&letters[0], "id").to_owned();
    shop.stack.programs[0].kill();
    let config = shop.stack.config().clone();
    assert_eq!(listed(&config, 1).await, letters, "the file tells the same");
    assert_eq!(printed(&config, &["replay", &id]).await, "1 dead letter replayed\n");
    listed(&config, 0).await;
    shop.stack.crash_and_restart_ingress().await;
    assert_eq!(texts(&shop.replies_within("oUSERofTheShop", 2).await), ["one", "two"]);
}

#[tokio::test]
async fn a_message_that_is_done_by_now_is_dropped_without_a_word() {
    let shop = a_message_half_sent(Backend::Production).await;
    let config = shop.stack.config();
    listed(config, 1).await;
    // What a replay leaves that dies between its two halves.
    double_the_dead_letter(shop.stack.vhost()).await;
    let ids: Vec<String> = listed(config, 2).await.iter().map(|letter| string(letter, "id").to_owned()).collect();
    assert_eq!(ids[0], ids[1], "copies share their id");
    assert_eq!(printed(config, &["replay", &ids[0]]).await, "2 dead letters replayed\n");
    assert_eq!(texts(&shop.replies_within("oUSERofTheShop", 2).await), ["one", "two"]);
    // The copy is dropped.
    shop.stack.programs[1].counts(r#"kefu_worker_messages_total{outcome="duplicate"}"#, 1).await;
    listed(config, 0).await;
    assert_eq!(texts(&shop.replies("oUSERofTheShop")), ["one", "two"]);
}

async fn double_the_dead_letter(vhost: &Vhost) {
    let connection = Connection::connect(&vhost.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let got = channel.basic_get("kefu.dead".into(), BasicGetOptions::default()).await.unwrap().unwrap();
    let (body, properties) = (&got.delivery.data, got.delivery.properties.clone());
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("kefu.dead".into(), "p00".into(), options, body, properties).await;
    assert!(sent.unwrap().await.unwrap().is_ack());
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn what_died_too_long_ago_is_replayed_only_when_that_is_asked_for() {
    let shop = a_message_half_sent(Backend::Production).await;
    let config = shop.stack.config();
    listed(config, 1).await;
    let connection = Connection::connect(&shop.stack.vhost().url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let got = channel.basic_get("kefu.dead".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    let mut headers = got.delivery.properties.headers().clone().unwrap();
    let four_days_ms = 4 * 86_400_000;
    let died_at = headers.inner()["x-died-at"].as_long_long_int().unwrap();
    headers.insert("x-died-at".into(), (died_at - four_days_ms).into());
    let properties = got.delivery.properties.clone().with_headers(headers);
    let options = BasicPublishOptions::default();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let sent = channel.basic_publish("kefu.dead".into(), "p00".into(), options, &got.delivery.data, properties).await;
    assert!(sent.unwrap().await.unwrap().is_ack());

    assert_eq!(list(config, &["--since", "3d"]).await.len(), 0);
    let output = kefu_dead(config, &["replay", "--all"]).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no dead letters replayed") && said.contains("may have forgotten"), "{said}");
    listed(config, 1).await;
    assert_eq!(printed(config, &["replay", "--all", "--forgotten"]).await, "1 dead letter replayed\n");
    shop.replies_within("oUSERofTheShop", 2).await;
}

/// The text of three parts that is sent for an event, and as many replies for a text as it asks for.
fn long() -> String {
    "a".repeat(2_000) + &"b".repeat(2_000) + &"c".repeat(1_000)
}

/// A user of whose five replies `taken` are used up, and a message with a text of three parts for them; WeChat takes
/// `passing` of its sends and refuses the next.
async fn a_cut_text_that_is_dead(backend: Backend, taken: &str, passing: u64) -> Shop {
    let mut options = ShopOptions::new(backend);
    let reply = r#"{ text = "1" }"#;
    options.rules = format!(
        "[[rule]]\nwhen = {{ type = \"text\", contains = \"three\" }}\nreply = [{reply}, {reply}, {reply}]\n\
         [[rule]]\nwhen = {{ type = \"text\", contains = \"four\" }}\nreply = [{reply}, {reply}, {reply}, {reply}]\n\
         [[rule]]\nwhen = {{ event = \"order_paid\" }}\nreply = [{{ text = \"{}\" }}, {{ text = \"end\" }}]\n",
        long()
    );
    let shop = Shop::start(options).await;
    shop.push("oUSER", Message::text(taken)).await;
    let used = if taken == "three" { 3 } else { 4 };
    shop.replies_within("oUSER", used).await;
    for _ in 0..passing {
        let passing = FaultRequest { latency_ms: Some(1), ..FaultRequest::new(FaultKind::Latency, SEND) };
        shop.simulator.fault(passing).unwrap();
    }
    refuse(&shop, 1);
    shop.push("oUSER", Message::Event { event: "order_paid".into(), fields: serde_json::Map::new() }).await;
    shop
}

/// The texts of all sends, also of those that WeChat refused.
fn tried(shop: &Shop) -> Vec<String> {
    let bodies: Vec<Value> = shop.calls(SEND).iter().map(|call| request_of(call)).collect();
    texts(&bodies).into_iter().map(str::to_owned).collect()
}

async fn a_text_that_was_cut_to_what_was_left_is_whole(backend: Backend) {
    for (taken, used, passing) in [("four", 4, 0), ("three", 3, 1)] {
        let shop = a_cut_text_that_is_dead(backend, taken, passing).await;
        let config = shop.stack.config();
        let letters = listed(config, 1).await;
        let cut = tried(&shop).pop().unwrap();
        assert!(if passing == 0 { cut.ends_with("a…") } else { cut == "end" }, "{taken}: {cut}");
        // The user writes, to what no rule is for: WeChat takes five replies again.
        shop.push("oUSER", Message::text("hello?")).await;
        let worker = shop.stack.programs.last().unwrap();
        worker.counts(r#"kefu_worker_messages_total{outcome="ignored"}"#, 1).await;
        printed(config, &["replay", string(&letters[0], "id")]).await;
        // What was sent of a cut text is not sent again: the rest of it comes.
        let mut expected: Vec<String> = vec!["a".repeat(2_000), "b".repeat(2_000), "c".repeat(1_000)];
        if passing == 1 {
            let sent = tried(&shop)[used].trim_end_matches('…').len();
            let rest = &long()[sent..];
            expected = vec![rest[..2_000].to_owned(), rest[2_000..].to_owned()];
        }
        expected.push("end".to_owned());
        let replies = shop.replies_within("oUSER", used + passing as usize + expected.len()).await;
        assert_eq!(texts(&replies)[used + passing as usize..], expected, "{taken}, {backend:?}");
        listed(config, 0).await;
    }
}

on_each_backend!(a_text_that_was_cut_to_what_was_left_is_whole);
