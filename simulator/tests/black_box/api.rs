use std::time::Duration;

use kefu_simulator::{Clock, Filter, Message, SimulatorConfig};
use serde_json::{Value, json};

use crate::bench::{APPID, Bench, SEND, USER, account, text};

#[tokio::test]
async fn errors_have_status_200_wechats_content_type_and_a_rid() {
    let bench = Bench::start(None).await;
    let response = bench.http.post(bench.url(SEND)).body("{}").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["Content-Type"], "application/json; encoding=utf-8");
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["errcode"], 41001);
    let errmsg = error["errmsg"].as_str().unwrap();
    let rid = errmsg.strip_prefix("access_token missing rid: ").unwrap();
    assert_eq!(rid.split('-').map(str::len).collect::<Vec<_>>(), [8, 8, 8]);
}

#[tokio::test]
async fn both_token_endpoints_know_who_asks() {
    let bench = Bench::start(None).await;
    let stable = async |appid: &str, secret: &str| {
        let body = json!({ "grant_type": "client_credential", "appid": appid, "secret": secret });
        bench.post("/cgi-bin/stable_token", &body).await
    };
    assert_eq!(stable(APPID, "wrong").await["errcode"], 40125);
    assert_eq!(stable("wxother", "secret").await["errcode"], 40013);
    assert_eq!(stable("", "secret").await["errcode"], 41002);
    let first = stable(APPID, "secret").await;
    assert_eq!((first["expires_in"].as_i64(), first.get("errcode")), (Some(7_200), None));
    assert_eq!(stable(APPID, "secret").await["access_token"], first["access_token"]);

    let plain = async |query: &str| bench.get(&format!("/cgi-bin/token?{query}")).await;
    let good = format!("grant_type=client_credential&appid={APPID}&secret=secret");
    let token = plain(&good).await;
    assert_ne!(plain(&good).await["access_token"], token["access_token"]);
    assert_eq!(plain(&format!("{good}x")).await["errcode"], 40001);
    assert_eq!(plain(&format!("grant_type=client_credential&appid={APPID}")).await["errcode"], 41004);
    assert_eq!(plain("grant_type=password").await["errcode"], 40002);
    assert_eq!(bench.get("/cgi-bin/stable_token").await["errcode"], 43002);
    assert_eq!(bench.get("/cgi-bin/nothing").await["errcode"], 40066);
}

#[tokio::test]
async fn a_token_that_does_not_work_is_told_apart() {
    let bench = Bench::start(None).await;
    let errcode =
        async |token: &str| bench.post(&format!("{SEND}?access_token={token}"), &text("a")).await["errcode"].clone();
    assert_eq!(errcode("").await, 41001);
    assert_eq!(errcode("invented").await, 40001);
    assert_eq!(errcode("not+one").await, 40014);
    let token = bench.stable_token().await;
    bench.simulator.clock().advance(Duration::from_secs(7_200));
    assert_eq!(errcode(&token).await, 42001);
}

#[tokio::test]
async fn five_replies_after_a_message_and_none_after_48_hours() {
    let bench = Bench::start(None).await;
    assert_eq!(bench.send_text("who?").await, 40003);
    bench.simulator.register(APPID, &[USER]).unwrap();
    assert_eq!(bench.send_text("too early").await, 45015);
    bench.user_does(Message::text("hi")).await;
    for n in 0..5 {
        assert_eq!(bench.send_text(&n.to_string()).await, 0);
    }
    assert_eq!(bench.send_text("one too many").await, 45047);
    bench.user_does(Message::text("again")).await;
    bench.simulator.clock().advance(Duration::from_secs(48 * 3_600));
    assert_eq!(bench.send_text("too late").await, 45015);

    let delivered = bench.simulator.journal(&Filter::delivered(0));
    assert_eq!(delivered.len(), 5);
    let all = Filter { path: Some("custom/send".to_owned()), ..Filter::default() };
    assert_eq!(bench.simulator.journal(&all).len(), 9);
}

#[tokio::test]
async fn two_replies_within_a_minute_of_entering() {
    let mut config = SimulatorConfig::new(vec![account(None)]);
    config.clock = Clock::frozen_at(1_700_000_000_000);
    let bench = Bench::configured(config).await;
    bench.user_does(Message::enter("")).await;
    assert_eq!((bench.send_text("1").await, bench.send_text("2").await), (0, 0));
    assert_eq!(bench.send_text("3").await, 45047);
    bench.user_does(Message::enter("")).await;
    bench.simulator.clock().advance(Duration::from_millis(59_999));
    assert_eq!(bench.send_text("4").await, 0);
    bench.simulator.clock().advance(Duration::from_millis(1));
    assert_eq!(bench.send_text("5").await, 45015);
}

#[tokio::test]
async fn a_message_with_a_fault_of_its_own_is_refused_and_uses_no_reply() {
    let bench = Bench::start(None).await;
    bench.user_does(Message::text("hi")).await;
    let of = |kind: &str, payload: Value| json!({ "touser": USER, "msgtype": kind, (kind): payload });
    let link = json!({ "title": "t", "description": "d", "url": "https://x", "thumb_url": "https://x/y.png" });
    let card = json!({ "title": "t", "appid": APPID, "pagepath": "p", "thumb_media_id": "M" });
    let without = |object: &Value, name: &str| {
        let mut object = object.clone();
        object.as_object_mut().unwrap().remove(name);
        object
    };
    let with = |name: &str, value: Value| {
        let mut body = text("a");
        body[name] = value;
        body
    };
    let cases = [
        (json!({ "msgtype": "text", "text": { "content": "a" } }), 40003),
        (json!({ "touser": USER, "text": { "content": "a" } }), 40008),
        (of("voice", json!({ "media_id": "M" })), 40008),
        (of("transfer_customer_service", json!({})), 40003),
        (of("text", json!({ "content": "" })), 44004),
        (of("text", json!("a")), 44004),
        (text(&"你".repeat(683)), 45002),
        (of("image", json!({})), 41006),
        (of("image", json!({ "media_id": "M" })), 40007),
        (of("link", without(&link, "thumb_url")), 40097),
        (of("link", without(&link, "description")), 40097),
        (of("miniprogrampage", without(&card, "pagepath")), 40097),
        (of("miniprogrampage", card), 40007),
        (with("customservice", json!({ "kf_account": "" })), 40097),
        (with("customservice", json!("agent@shop")), 40097),
        (with("aimsgcontext", json!({ "is_ai_msg": true })), 40097),
        (with("businessid", json!("7")), 40097),
        (json!([1]), 47001),
    ];
    for (body, expected) in cases {
        assert_eq!(bench.errcode(SEND, &body).await, expected, "{body}");
    }
    assert_eq!(bench.get(&format!("/simulator/users/{APPID}/{USER}")).await["remaining"], 5);
    assert_eq!(bench.send_text(&"你".repeat(682)).await, 0);
    assert_eq!(bench.errcode(SEND, &of("link", link)).await, 0);
}

#[tokio::test]
async fn bodies_that_are_no_json_or_escape_their_text_are_refused() {
    let bench = Bench::start(None).await;
    bench.user_does(Message::text("hi")).await;
    let token = bench.stable_token().await;
    let url = bench.url(&format!("{SEND}?access_token={token}"));
    let errcode = async |body: &'static [u8]| {
        let answer: Value = bench.http.post(&url).body(body).send().await.unwrap().json().await.unwrap();
        answer["errcode"].as_i64().unwrap()
    };
    assert_eq!(errcode(b"").await, 44002);
    assert_eq!(errcode(b"{\"touser\":").await, 47001);
    assert_eq!(errcode(b"{\"touser\":\"\xff\"}").await, 47001);
    assert_eq!(errcode(br#"{"touser":"oUSER","msgtype":"text","text":{"content":"\u4f60"}}"#).await, 40033);
    assert_eq!(errcode(br#"{"touser":"oUSER","msgtype":"text","text":{"content":"a\u0002"}}"#).await, 40033);
    assert_eq!(errcode(br#"{"touser":"oUSER","msgtype":"text","text":{"content":"\u003ca\u003e"}}"#).await, 0);
}

#[tokio::test]
async fn typing_needs_a_recent_message_and_ends_with_a_reply() {
    let bench = Bench::start(None).await;
    let typing = async |command: &str| {
        let body = json!({ "touser": USER, "command": command });
        bench.errcode("/cgi-bin/message/custom/business/typing", &body).await
    };
    bench.user_does(Message::text("hi")).await;
    assert_eq!(typing("Type").await, 45072);
    assert_eq!((typing("Typing").await, typing("Typing").await), (0, 45081));
    assert_eq!(bench.send_text("a").await, 0);
    assert_eq!(typing("Typing").await, 0);
    assert_eq!((typing("CancelTyping").await, typing("Typing").await), (0, 0));
    bench.simulator.clock().advance(Duration::from_secs(30));
    assert_eq!(typing("Typing").await, 45080);
}

#[tokio::test]
async fn the_callback_check_looks_at_the_url_that_is_set() {
    let bench = Bench::start(None).await;
    let token = bench.stable_token().await;
    let path = format!("/cgi-bin/callback/check?access_token={token}");
    let check = async |action: &str, operator: &str| {
        bench.post(&path, &json!({ "action": action, "check_operator": operator })).await
    };
    assert_eq!(check("all", "DEFAULT").await["errcode"], 40201);
    bench.simulator.set_callback(APPID, "http://shop.example:8080/push/wx1").unwrap();
    let answer = check("all", "DEFAULT").await;
    assert_eq!((&answer["dns"][0]["ip"], &answer["ping"][0]["package_loss"]), (&json!("shop.example"), &json!("0%")));
    assert!(check("dns", "UNICOM").await.get("ping").is_none());
    assert_eq!(check("look", "DEFAULT").await["errcode"], 40202);
    assert_eq!(check("all", "").await["errcode"], 40203);
}

#[tokio::test]
async fn the_date_of_answers_goes_by_the_simulators_clock() {
    let clock = Clock::frozen_at(1_000_000_000_000);
    let bench = Bench::configured(SimulatorConfig { clock, ..SimulatorConfig::new(vec![account(None)]) }).await;
    for path in ["/", "/cgi-bin/token"] {
        let response = bench.http.get(bench.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["Date"], "Sun, 09 Sep 2001 01:46:40 GMT", "{path}");
    }
}
