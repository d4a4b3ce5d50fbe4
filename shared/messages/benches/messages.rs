//! How long the two services compute on a message, beside the protocol: `cargo bench -p kefu-messages`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use divan::{Bencher, black_box};
use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::MessageKey;
use kefu_messages::problems::Problems;
use kefu_messages::rules::{Context, RuleSection, Rules};
use kefu_messages::window::Limits;
use kefu_wechat::push::Push;
use serde_json::json;

fn main() {
    divan::main();
}

const APPID: &str = "wx0123456789abcdef";

const TEXT: &str = r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
"CreateTime":1714037059,"MsgType":"text","Content":"请发二维码 😀","MsgId":1234567890123456}"#;

/// Its key holds a digest of all fields, since it has no MsgId.
const EVENT: &str = r#"{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
"CreateTime":1714037059,"MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"order 1234567890"}"#;

fn push(text: &str) -> Push {
    Push::parse(text).unwrap()
}

fn envelope() -> Envelope {
    Envelope::of_push(APPID, push(TEXT), TEXT.to_owned(), 1_714_037_059_123)
}

/// That many rules of which none but the last matches [`TEXT`].
fn rules(count: usize) -> Rules {
    let section = |index: usize| {
        let last = index + 1 == count;
        let when = match index % 3 {
            _ if last => json!({ "type": "text", "contains": ["二维码", "QR Code"] }),
            0 => json!({ "type": "text", "contains": [format!("word {index}"), format!("Another {index}")] }),
            1 => json!({ "type": "text", "regex": format!("^order {index}[0-9]+$") }),
            _ => json!({ "event": "user_enter_tempsession", "session_from": format!("page {index}") }),
        };
        let (when, reply) = (serde_json::from_value(when), serde_json::from_value(json!([{ "text": "hi" }])));
        let section = RuleSection { when: Some(when.unwrap()), reply: reply.unwrap(), ..RuleSection::default() };
        (format!("[[rule]] {}", index + 1), section)
    };
    let (sections, mut problems): (Vec<_>, _) = ((0..count).map(section).collect(), Problems::default());
    let context = Context {
        folder: Path::new("."),
        max_image_bytes: 2_097_152,
        window: &Limits::default(),
        assistant: None,
        is_account: &|_| true,
    };
    let rules = Rules::resolve(&sections, &context, &mut problems);
    assert_eq!(problems.into_lines().0, Vec::<String>::new());
    rules
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn the_last_rule_matches(bencher: Bencher, count: usize) {
    let (rules, push) = (rules(count), push(TEXT));
    assert!(rules.decide(APPID, &push).is_some());
    bencher.bench_local(|| rules.decide(APPID, black_box(&push)).is_some());
}

#[divan::bench(args = ["with a MsgId", "without"])]
fn message_key(bencher: Bencher, which: &str) {
    let push = push(if which == "without" { EVENT } else { TEXT });
    bencher.bench_local(|| MessageKey::of(APPID, black_box(&push)));
}

#[divan::bench]
fn envelope_to_json(bencher: Bencher) {
    let envelope = envelope();
    bencher.bench_local(|| black_box(&envelope).to_json());
}

#[divan::bench]
fn envelope_from_json(bencher: Bencher) {
    let json = envelope().to_json();
    bencher.bench_local(|| Envelope::from_json(black_box(&json)));
}
