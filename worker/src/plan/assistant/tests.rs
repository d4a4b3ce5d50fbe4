#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use kefu_messages::reply::{Content, Reply};
use kefu_queue::{DeadReason, Settlement};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::testing::assistant::completion;
use crate::testing::queue::{self, Settled, delivery};
use crate::testing::{Bench, seconds};
use kefu_store::testing::Entry;

const DONE: Settled = Settled::As(Settlement::Done);
const FALLBACK: &str = "please wait";
const AT_ONCE: Duration = Duration::ZERO;

/// A bench whose assistant answers all texts that match no other rule.
fn bench(settings: &str) -> Bench {
    Bench::with(&format!(
        "[assistant]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\nsystem_prompt = \"be kind\"\n\
         fallback = \"{FALLBACK}\"\n{settings}\n[[rule]]\nwhen = {{ type = \"text\" }}\nassistant = true\n"
    ))
}

/// The role and the content of each message in a request.
fn messages(request: &Value) -> Vec<(String, String)> {
    let messages = request["messages"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    messages.map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(role, content)| ((*role).to_owned(), (*content).to_owned())).collect()
}

/// The texts that the worker sent to a user, each with whether it is marked as an AI's.
fn sent(bench: &Bench, user: &str) -> Vec<(String, bool)> {
    let sends = bench.wechat.calls(crate::testing::wechat::SEND).into_iter().filter(|seen| seen.body["touser"] == user);
    sends
        .map(|seen| {
            let text = seen.body["text"]["content"].as_str().unwrap().to_owned();
            (text, seen.body["aimsgcontext"] == json!({ "is_ai_msg": 1 }))
        })
        .collect()
}

mod failures;

#[tokio::test(start_paused = true)]
async fn a_text_is_answered_by_the_assistant_with_the_conversation_so_far() {
    let bench = bench("max_tokens = 300\ntemperature = 0.5");
    for text in ["one", "two", "good day"] {
        assert_eq!(bench.handle("oA", text).await, DONE);
    }
    assert_eq!(bench.handle("oB", "me too").await, DONE);
    let requests = bench.completions.requests();
    assert_eq!(messages(&requests[0]), pairs(&[("system", "be kind"), ("user", "one")]));
    let expected = [
        ("system", "be kind"),
        ("user", "one"),
        ("assistant", "re: one"),
        ("user", "two"),
        ("assistant", "re: two"),
        ("user", "good day"),
    ];
    assert_eq!(messages(&requests[2]), pairs(&expected));
    assert_eq!(messages(&requests[3]).len(), 2, "another user's conversation is another one");
    let rest = (&requests[0]["model"], &requests[0]["max_tokens"], &requests[0]["temperature"]);
    assert_eq!(rest, (&json!("m"), &json!(300), &json!(0.5)));
    assert_eq!(sent(&bench, "oA")[0], ("re: one".to_owned(), true));
}

#[tokio::test(start_paused = true)]
async fn no_more_of_the_conversation_is_sent_than_configured() {
    for (messages_kept, expected) in [(0, 0), (1, 0), (2, 2), (5, 4)] {
        let bench = bench(&format!("history_messages = {messages_kept}"));
        for n in 0..6 {
            bench.handle("oA", &format!("question {n}")).await;
        }
        let last = bench.completions.requests().pop().unwrap();
        assert_eq!(messages(&last).len(), 2 + expected, "{messages_kept}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_not_given_are_not_sent() {
    let bench = Bench::with(
        "[assistant]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\n\
         [[rule]]\nwhen = { type = \"text\" }\nassistant = true\n",
    );
    bench.handle("oA", "one").await;
    let request = bench.completions.requests().pop().unwrap();
    let expected = json!({ "model": "m", "messages": [{ "role": "user", "content": "one" }], "stream": false });
    assert_eq!(request, expected);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_allowed_wait_for_their_turn() {
    let bench = bench("concurrency = 1\ntimeout_ms = 8000");
    bench.completions.answer(seconds(5), 200, completion("slow one"));
    bench.completions.answer(seconds(5), 200, completion("slow two"));
    let ((a, b), c) =
        tokio::join!(async { tokio::join!(bench.handle("oA", "one"), bench.handle("oB", "two")) }, async {
            tokio::time::sleep(seconds(1)).await;
            bench.handle("oC", "late").await
        });
    assert_eq!((a, b, c), (DONE, DONE, DONE));
    assert_eq!(sent(&bench, "oA"), [("slow one".to_owned(), true)]);
    assert_eq!(sent(&bench, "oB"), [(FALLBACK.to_owned(), false)], "its time was over 3 s after its turn came");
    assert_eq!(sent(&bench, "oC"), [("re: late".to_owned(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_assistant_leaves_the_room_for_messages_to_others() {
    let bench = bench("[worker]\nconcurrency = 1");
    bench.completions.answer(seconds(20), 200, completion("at last"));
    let (queue, consumer) = queue::queue();
    let health = tokio::sync::watch::Sender::new(kefu_runtime::health::Health::Up);
    let handler = Arc::clone(&bench.handler);
    tokio::spawn(crate::lanes::dispatch::dispatch(handler, consumer, health, bench.shutdown.clone(), seconds(1)));
    queue.push("wx1", "oA", "one");
    queue.push("wx1", "oA", "hi, me again");
    queue.push("wx1", "oB", "hi");
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(bench.wechat.texts_to("oB"), ["您好"]);
    assert!(bench.wechat.texts_to("oA").is_empty(), "a user's messages stay in order");
    tokio::time::sleep(seconds(20)).await;
    assert_eq!(bench.wechat.texts_to("oA"), ["at last", "您好"]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_may_have_its_own_words() {
    let bench = Bench::with(
        "[assistant]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\nsystem_prompt = \"be kind\"\n\
         [[rule]]\nwhen = { contains = \"refund\" }\n\
         assistant = { system_prompt = \"be strict\", fallback = \"no refund now\" }\n",
    );
    bench.completions.answer(AT_ONCE, 404, "");
    bench.handle("oA", "refund please").await;
    let expected = pairs(&[("system", "be strict"), ("user", "refund please")]);
    assert_eq!(messages(&bench.completions.requests()[0]), expected);
    assert_eq!(sent(&bench, "oA"), [("no refund now".to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_several_texts_all_marked_and_its_end_is_cut() {
    let bench = bench("max_reply_bytes = 5000");
    bench.completions.answer(AT_ONCE, 200, completion(&"好".repeat(4_000)));
    bench.handle("oA", "one").await;
    let sent = sent(&bench, "oA");
    assert_eq!(sent.len(), 3);
    let whole: String = sent.iter().map(|(text, _)| text.as_str()).collect();
    assert!(sent.iter().all(|(text, by_ai)| text.len() <= 2_000 && *by_ai));
    assert!(whole.ends_with("好…") && whole.len() <= 5_000 && whole.len() > 4_990);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_plan_is_stored_is_not_asked_again_and_is_remembered_once() {
    let bench = bench("");
    let envelope = queue::envelope("wx1", "oA", "one");
    let reply = Reply { content: Content::Text("said before".into()), kf_account: None, is_ai_msg: true };
    let plan = kefu_messages::plan::Plan { steps: vec![reply], ..Default::default() };
    let entry = Entry { plan: Some(plan), ..Entry::default() };
    bench.store.leave_behind(&envelope.key, entry, seconds(0));
    assert_eq!(bench.handle("oA", "one").await, DONE);
    assert_eq!(sent(&bench, "oA"), [("said before".to_owned(), true)]);
    assert!(bench.completions.requests().is_empty());
    bench.handle("oA", "two").await;
    let expected = [("system", "be kind"), ("user", "one"), ("assistant", "said before"), ("user", "two")];
    assert_eq!(messages(&bench.completions.requests()[0]), pairs(&expected));
}

#[tokio::test(start_paused = true)]
async fn the_lease_lasts_while_the_assistant_is_asked_and_a_shutdown_ends_the_asking() {
    let bench = bench("timeout_ms = 120000");
    bench.completions.answer(seconds(3_600), 500, "");
    let key = queue::envelope("wx1", "oA", "one").key;
    let (delivery, watch) = delivery(Ok(queue::envelope("wx1", "oA", "one")), 0);
    let stopping = async {
        for _ in 0..60 {
            tokio::time::sleep(seconds(1)).await;
            assert!(bench.store.is_leased(&key));
        }
        bench.shutdown.cancel();
    };
    let start = Instant::now();
    tokio::join!(bench.run(delivery), stopping);
    assert_eq!(start.elapsed(), seconds(60));
    assert_eq!(watch.get(), Settled::GivenBack);
    assert!(!bench.store.is_leased(&key) && sent(&bench, "oA").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_not_asked() {
    let bench = bench("");
    let mut envelope = queue::envelope("wx1", "oA", "one");
    envelope.received_at_ms -= 49 * 3_600 * 1_000;
    let (old, watch) = delivery(Ok(envelope), 0);
    bench.run(old).await;
    let Settled::As(Settlement::Dead { reason, .. }) = watch.get() else { panic!("{:?}", watch.get()) };
    assert_eq!(reason, DeadReason::WindowClosed);
    assert!(bench.completions.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_blank_text_is_not_asked() {
    let bench = bench("");
    assert_eq!(bench.handle("oA", " \n").await, DONE);
    assert!(bench.completions.requests().is_empty() && sent(&bench, "oA").is_empty());
}
