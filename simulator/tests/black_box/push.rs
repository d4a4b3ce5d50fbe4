use std::collections::HashSet;

use kefu_simulator::{
    Event, Filter, Limits, Message, Mode, MsgId, Outcome, PushRequest, RequestError, SimulatorConfig,
};
use kefu_wechat::cipher::EncodingAesKey;
use kefu_wechat::push::{Body, Content, Format, Push};
use kefu_wechat::signature;
use serde_json::json;

use crate::bench::{APPID, Bench, USER, account};
use crate::callback::{Callback, Reaction, Seen, success};

fn outcomes(report: &kefu_simulator::PushReport) -> Vec<Outcome> {
    report.copies.iter().flat_map(|copy| copy.tries.iter().map(|attempt| attempt.outcome)).collect()
}

fn hello() -> PushRequest {
    PushRequest::new(APPID, USER, Message::text("hello"))
}

/// Checks the signatures and gives what the push says.
fn open(seen: &Seen, mode: Mode) -> Push {
    let query = |name: &str| seen.query[name].as_str();
    assert_eq!(query("signature"), signature::sign("token", query("timestamp"), query("nonce")));
    assert_eq!(query("openid"), USER);
    let body = Body::parse(&seen.body).unwrap();
    match mode {
        Mode::Plain => {
            assert!(!seen.query.contains_key("msg_signature") && !seen.query.contains_key("encrypt_type"));
            Push::from_body(body).unwrap()
        }
        Mode::Compat | Mode::Safe => {
            assert_eq!(query("encrypt_type"), "aes");
            let encrypt = body.encrypt().unwrap();
            let expected = signature::sign_encrypted("token", query("timestamp"), query("nonce"), encrypt);
            assert_eq!(query("msg_signature"), expected);
            assert_eq!(body.fields.text("Content").is_some(), mode == Mode::Compat);
            let key = EncodingAesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
            Push::parse(&key.decrypt(encrypt, APPID).unwrap()).unwrap()
        }
    }
}

#[tokio::test]
async fn a_push_arrives_signed_and_encrypted_in_every_mode_and_format() {
    let callback = Callback::start([success()]);
    let bench = Bench::start(Some(&callback.url)).await;
    for mode in [Mode::Plain, Mode::Compat, Mode::Safe] {
        for format in [Format::Xml, Format::Json] {
            let request = PushRequest { mode: Some(mode), format: Some(format), ..hello() };
            let report = bench.simulator.push(request).await.unwrap();
            assert!(report.answered, "{report:?}");
            let seen = callback.seen().pop().unwrap();
            let push = open(&seen, mode);
            assert_eq!((push.format, push.content), (format, Content::Text { content: "hello".to_owned() }));
            assert_eq!(push.msg_id, report.msg_id);
            assert_eq!(seen.content_type, if format == Format::Xml { "text/xml" } else { "application/json" });
        }
    }
}

#[tokio::test]
async fn a_push_is_tried_three_times_until_an_answer_is_good() {
    let bad = |status, body: &str| Reaction::Answer(status, body.to_owned());
    let callback = Callback::start([bad(500, "success"), bad(200, "oops"), success()]);
    let bench = Bench::start(Some(&callback.url)).await;
    let report = bench.simulator.push(hello()).await.unwrap();
    assert_eq!(outcomes(&report), [Outcome::Status, Outcome::Malformed, Outcome::Success]);
    assert!(report.answered && !report.fault_notice);
    let seen = callback.seen();
    let said: HashSet<_> = seen.iter().map(|seen| seen.body.clone()).collect();
    let nonces: HashSet<_> = seen.iter().map(|seen| seen.query["nonce"].clone()).collect();
    assert_eq!((said.len(), nonces.len()), (1, 3));
}

#[tokio::test]
async fn after_three_bad_answers_the_user_sees_the_notice_and_nothing_is_sent_any_more() {
    let callback = Callback::start([Reaction::Answer(200, "\"success\"".to_owned())]);
    let bench = Bench::start(Some(&callback.url)).await;
    let report = bench.simulator.push(hello()).await.unwrap();
    assert!(!report.answered && report.fault_notice);
    assert_eq!(callback.seen().len(), 3);
    let answers = Filter { kind: Some("push_answer".to_owned()), ..Filter::since(report.since) };
    let notices = bench.simulator.journal(&answers).into_iter().map(|entry| match &entry.event {
        Event::PushAnswer(answer) => answer.fault_notice,
        other => panic!("{other:?}"),
    });
    assert_eq!(notices.collect::<Vec<_>>(), [false, false, true]);
}

#[tokio::test]
async fn nobody_sees_a_notice_for_an_event_of_the_platform() {
    let bench = Bench::start(Some("http://127.0.0.1:9/")).await;
    let message = Message::Event { event: "wxa_media_check".to_owned(), fields: serde_json::Map::new() };
    let report = bench.simulator.push(PushRequest::new(APPID, USER, message)).await.unwrap();
    assert!(!report.answered && !report.fault_notice);
    assert_eq!((outcomes(&report), report.msg_id), (vec![Outcome::Connection; 3], None));
}

#[tokio::test]
async fn a_callback_that_is_too_slow_is_hung_up_on_and_tried_again() {
    let callback = Callback::start([Reaction::Silence, success()]);
    let mut config = SimulatorConfig::new(vec![account(Some(&callback.url))]);
    config.limits = Limits { push_timeout_ms: 100, ..Limits::default() };
    let bench = Bench::configured(config).await;
    let report = bench.simulator.push(hello()).await.unwrap();
    assert_eq!(outcomes(&report), [Outcome::Timeout, Outcome::Success]);
    assert!(report.copies[0].tries[0].duration_ms >= 100.0);
}

#[tokio::test]
async fn a_transfer_is_reported_with_its_fields() {
    let reply = json!({
        "ToUserName": USER, "FromUserName": "gh_0123456789ab", "CreateTime": 7,
        "MsgType": "transfer_customer_service"
    });
    let callback = Callback::start([Reaction::Answer(200, reply.to_string())]);
    let bench = Bench::start(Some(&callback.url)).await;
    let report = bench.simulator.push(PushRequest { format: Some(Format::Json), ..hello() }).await.unwrap();
    let attempt = &report.copies[0].tries[0];
    assert_eq!(attempt.outcome, Outcome::Transfer);
    assert_eq!(attempt.transfer.as_ref().map(|transfer| transfer.create_time), Some(7));
}

#[tokio::test]
async fn copies_are_the_very_same_push() {
    let callback = Callback::start([success()]);
    let bench = Bench::start(Some(&callback.url)).await;
    for at_once in [false, true] {
        let before = callback.seen().len();
        let request = PushRequest { times: 3, at_once, msg_id: Some(MsgId::Text("a_1".to_owned())), ..hello() };
        let report = bench.simulator.push(request).await.unwrap();
        assert_eq!(report.copies.iter().map(|copy| copy.copy).collect::<Vec<_>>(), [1, 2, 3]);
        let bodies: HashSet<_> = callback.seen().drain(before..).map(|seen| seen.body).collect();
        assert_eq!(bodies.len(), 1);
        assert!(bodies.iter().all(|body| body.contains("<MsgId><![CDATA[a_1]]></MsgId>")));
    }
}

#[tokio::test]
async fn a_raw_text_goes_out_as_it_is_and_counts_as_what_it_says() {
    let callback = Callback::start([success()]);
    let bench = Bench::start(Some(&callback.url)).await;
    let raw = |text: &str| PushRequest::new(APPID, "oRAW", Message::Raw { text: text.to_owned() });
    bench.simulator.push(raw("<xml><cut")).await.unwrap();
    assert_eq!(callback.seen()[0].body, "<xml><cut");
    assert_eq!(bench.get(&format!("/simulator/users/{APPID}/oRAW")).await["remaining"], 0);
    let voice = r#"{"ToUserName":"gh","FromUserName":"oRAW","CreateTime":1,"MsgType":"voice","MsgId":1}"#;
    bench.simulator.push(raw(voice)).await.unwrap();
    assert_eq!(bench.get(&format!("/simulator/users/{APPID}/oRAW")).await["remaining"], 5);
}

#[tokio::test]
async fn a_push_that_cannot_be_sent_is_refused_in_words_and_leaves_no_trace() {
    let bench = Bench::start(None).await;
    assert_eq!(bench.simulator.push(hello()).await, Err(RequestError::NoCallback(APPID.to_owned())));
    let unknown = PushRequest::new("wxother", USER, Message::text("a"));
    assert_eq!(bench.simulator.push(unknown).await, Err(RequestError::UnknownAccount("wxother".to_owned())));
    bench.simulator.set_callback(APPID, "http://127.0.0.1:9/").unwrap();
    let none = PushRequest { times: 0, ..hello() };
    assert!(matches!(bench.simulator.push(none).await, Err(RequestError::Invalid(_))));
    assert_eq!(bench.simulator.journal_last(), 0);
    assert_eq!(bench.get(&format!("/simulator/users/{APPID}/{USER}")).await["known"], false);
}

#[tokio::test]
async fn the_url_verification_wants_the_echostr_and_nothing_else() {
    let callback = Callback::start([Reaction::Echo, success()]);
    let bench = Bench::start(Some(&callback.url)).await;
    let good = bench.simulator.verify(APPID).await.unwrap();
    assert!(good.ok, "{good:?}");
    let query = &callback.seen()[0].query;
    assert_eq!(query["signature"], signature::sign("token", &query["timestamp"], &query["nonce"]));
    let bad = bench.simulator.verify(APPID).await.unwrap();
    assert_eq!((bad.ok, bad.body.as_deref()), (false, Some("success")));
}

#[tokio::test]
async fn the_query_is_percent_encoded_and_joins_a_query_of_the_callback() {
    let callback = Callback::start([success()]);
    let bench = Bench::start(Some(&format!("{}?a=1", callback.url))).await;
    bench.simulator.push(PushRequest::new(APPID, "a+b/c=", Message::text("hello"))).await.unwrap();
    let query = &callback.seen()[0].query;
    assert_eq!((query["a"].as_str(), query["openid"].as_str()), ("1", "a+b/c="));
}
