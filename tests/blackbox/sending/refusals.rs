//! Requests that are not accepted: each is said why, and nothing of it is sent or logged.

use kefu_harness::secrets::Secrets;
use kefu_harness::shop::PICTURE_FILE;

use super::*;

fn problem(answer: &Answer, status: u16, word: &str) {
    assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{answer:?}");
    assert_eq!(answer.body["type"], format!("urn:kefu:problem:{word}"), "{answer:?}");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    assert!(answer.body["title"].is_string(), "{answer:?}");
}

#[tokio::test]
async fn who_has_no_key_may_do_nothing_but_read_the_document() {
    let (shop, caller) = start(Backend::Embedded).await;
    let url = |path: &str| format!("{}{path}", caller.url);
    let messages = url(&format!("/v1/accounts/{}/messages", shop.appid()));
    let message = url("/v1/messages/00112233445566778899aabbccddeeff");
    let body = text("oUSER", "hi");
    let post = || caller.client.post(&messages).header("idempotency-key", "k").json(&body);
    for refused in [
        post(),
        post().bearer_auth("key-of-the-tests-0123456789abcdeF"),
        post().bearer_auth(""),
        post().basic_auth(KEY, Some(KEY)),
        caller.client.get(&message),
        caller.client.get(&message).bearer_auth("x"),
    ] {
        let answer = answer(refused).await;
        problem(&answer, 401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let document = answer(caller.client.get(url("/v1/openapi.json"))).await;
    assert_eq!((document.status, &document.body["openapi"]), (200, &json!("3.1.0")));
    for key in [KEY, PREVIOUS_KEY] {
        assert_eq!(answer(post().bearer_auth(key)).await.status, 202);
    }
}

#[tokio::test]
async fn without_a_key_in_the_configuration_there_is_no_v1() {
    let shop = Shop::start(ShopOptions::new(Backend::Embedded)).await;
    let caller = Caller::of(&shop.stack.programs[0]);
    assert_eq!(caller.send(shop.appid(), "k", &text("oUSER", "hi")).await.status, 404);
    assert_eq!(caller.state("x").await.status, 404);
    assert_eq!(shop.stack.programs[0].ask("/v1/openapi.json").await, (404, String::new()));
    let public = format!("{}/v1/openapi.json", shop.stack.programs[0].url(Role::Public));
    assert_eq!(answer(caller.client.get(public)).await.status, 404);
}

#[tokio::test]
async fn a_head_that_lacks_something_is_said_what() {
    let (shop, caller) = start(Backend::Embedded).await;
    let url = format!("{}/v1/accounts/{}/messages", caller.url, shop.appid());
    let body = text("oUSER", "hi");
    let post = || caller.client.post(&url).bearer_auth(KEY);

    let without = answer(post().json(&body)).await;
    problem(&without, 400, "malformed-request");
    assert!(without.body["detail"].as_str().unwrap().contains("Idempotency-Key is missing"), "{without:?}");
    for bad in ["", "a b", &"k".repeat(256)] {
        problem(&answer(post().header("idempotency-key", bad).json(&body)).await, 400, "malformed-request");
    }
    let twice = post().header("idempotency-key", "a").header("idempotency-key", "b");
    problem(&answer(twice.json(&body)).await, 400, "malformed-request");
    for other in ["text/plain", "application/x-www-form-urlencoded"] {
        let request = post().header("idempotency-key", "k").header("content-type", other).body(body.to_string());
        problem(&answer(request).await, 415, "not-json");
    }
    problem(&answer(post().header("idempotency-key", "k").body(body.to_string())).await, 415, "not-json");
    problem(&caller.send("wx-of-somebody-else", "k", &body).await, 404, "unknown-account");
    problem(&caller.state("no-such-message").await, 404, "unknown-message");
    problem(&caller.state("00112233445566778899aabbccddeeff").await, 404, "unknown-message");
    let put = answer(caller.client.put(&url).bearer_auth(KEY).json(&body)).await;
    problem(&put, 405, "method-not-allowed");
    assert_eq!(put.header("allow"), "POST");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_also_when_its_length_is_not_told() {
    let (shop, caller) = start(Backend::Embedded).await;
    let large = text("oUSER", &"x".repeat(64 * 1024));
    problem(&caller.send(shop.appid(), "k", &large).await, 413, "too-large");
    let bytes = large.to_string().into_bytes();
    let chunks = futures_util::stream::iter(
        bytes.chunks(8_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let request = caller.request(shop.appid(), "k").header("content-type", "application/json");
    problem(&answer(request.body(reqwest::Body::wrap_stream(chunks))).await, 413, "too-large");
    let largest = json!({ "to": "oUSER", "replies": [{ "text": "hi" }] }).to_string() + &" ".repeat(60 * 1024);
    let request = caller.request(shop.appid(), "k").header("content-type", "application/json");
    assert_eq!(answer(request.body(largest)).await.status, 202);
}

#[tokio::test]
async fn each_wrong_message_is_said_what_is_wrong_with_it() {
    let (shop, caller) = start(Backend::Embedded).await;
    std::os::unix::fs::symlink(PICTURE_FILE, shop.stack.config().with_file_name("out.png")).unwrap();
    let wrong = |reply: Value| json!({ "to": "oUSER", "replies": [{ "text": "hi" }, reply] });
    let link = |url: &str| json!({ "link": { "title": "t", "description": "d", "url": url, "thumb_url": "https://a.example/" } });
    for (case, (body, status, said)) in [
        (json!([]), 400, "the body"),
        (json!({ "replies": [{ "text": "hi" }] }), 400, "missing field `to`"),
        (json!({ "to": "oUSER" }), 400, "missing field `replies`"),
        (json!({ "to": "oUSER", "replies": [], "colour": 1 }), 400, "unknown field `colour`"),
        (wrong(json!({})), 400, "replies[1]: must have exactly one of text, image, link, miniprogrampage"),
        (wrong(json!({ "text": "a", "image": "code.png" })), 400, "replies[1]: must have exactly one"),
        (wrong(json!({ "voice": "a.amr" })), 400, "replies[1]: must have exactly one"),
        (wrong(json!({ "text": "a", "media_id": "x" })), 400, "replies[1].media_id: there is no such field"),
        (wrong(json!({ "text": null, "image": "code.png" })), 400, "replies[1].text: is null"),
        (wrong(json!({ "link": { "title": "t" } })), 400, "replies[1].link: missing field"),
        (json!({ "to": "o USER", "replies": [{ "text": "hi" }] }), 422, "to: must be an openid"),
        (json!({ "to": "oUSER", "replies": [] }), 422, "replies: there are 0, must be from 1 to 5"),
        (json!({ "to": "oUSER", "replies": vec![json!({ "text": "hi" }); 6] }), 422, "replies: there are 6"),
        (wrong(json!({ "text": "x".repeat(8_001) })), 422, "replies: with long texts in parts they are 6 sends"),
        (wrong(json!({ "text": " \n" })), 422, "replies[1]: text is empty"),
        (wrong(json!({ "image": "absent.png" })), 422, "replies[1]: image "),
        (wrong(json!({ "image": "kefu.toml" })), 422, "is no PNG, JPEG or GIF"),
        (wrong(json!({ "image": "/etc/hostname" })), 422, "replies[1]: image must be a path within the folder"),
        (wrong(json!({ "image": "../code.png" })), 422, "replies[1]: image must be a path within the folder"),
        (wrong(json!({ "image": "out.png" })), 422, "a symbolic link leads out of it"),
        (wrong(link("javascript:alert(1)")), 422, "replies[1]: link.url must be an http:// or https:// address"),
        (
            wrong(json!({ "miniprogrampage": { "title": "t", "pagepath": " ", "thumb": "code.png" } })),
            422,
            "replies[1]: miniprogrampage.pagepath is empty",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        // Nothing of a refused message is kept: the key is still free for the next one.
        let answer = caller.send(shop.appid(), "k", &body).await;
        problem(&answer, status, if status == 400 { "malformed-request" } else { "unsendable-message" });
        let told = format!("{} {}", answer.body["detail"], answer.body["problems"]);
        assert!(told.contains(said), "case {case}: {told} does not say {said:?}");
    }
    writes(&shop, "oUSER").await;
    let id = caller.accepted(shop.appid(), "k", &text("oUSER", "hi")).await;
    caller.becomes(&id, "sent").await;
    assert_eq!(texts(&shop.replies("oUSER")), ["hi"]);
}

#[tokio::test]
async fn neither_key_nor_text_nor_user_is_logged_though_everything_is_asked_for() {
    const USER: &str = "oUser-0123456789abcdefghijkl";
    const SAID: &str = "your parcel, dear Ludwig, is at the gate";
    for backend in Backend::ALL {
        let shop = Shop::start(options(backend).with("telemetry", "log_filter = \"trace\"")).await;
        let caller = Caller::of(&shop.stack.programs[0]);
        writes(&shop, USER).await;
        let id = caller.accepted(shop.appid(), "order of Ludwig".replace(' ', "-").as_str(), &text(USER, SAID)).await;
        caller.becomes(&id, "sent").await;
        caller.send(shop.appid(), "order-of-Ludwig", &text(USER, "another")).await;
        caller.send(shop.appid(), "k", &json!({ "to": USER, "replies": [{ "text": SAID, "colour": SAID }] })).await;
        caller.send(shop.appid(), "k", &json!({ "to": SAID, "replies": SAID })).await;
        caller.send(USER, "k", &text(USER, SAID)).await;
        caller.state(USER).await;
        let unanswered = caller.accepted(shop.appid(), "k", &text("oStranger-0123456789abcdefghij", SAID)).await;
        caller.becomes(&unanswered, "dead").await;
        let secrets = shop.secrets().await.with("key", KEY).with("key before", PREVIOUS_KEY).with("openid", USER);
        let secrets: Secrets = secrets.with("text", SAID).with("another openid", "oStranger-0123456789abcdefghij");
        for program in &shop.stack.programs {
            secrets.must_not_be_in(&(program.output() + &program.ask("/metrics").await.1));
        }
    }
}

#[tokio::test]
async fn a_fault_in_a_character_is_mended_and_control_characters_are_left_out() {
    let (shop, caller) = start(Backend::Embedded).await;
    writes(&shop, "oUSER").await;
    let body = |text: &str| format!(r#"{{"to":"oUSER","replies":[{{"text":"{text}"}}]}}"#);
    let post = async |key: &str, body: String| {
        let request = caller.request(shop.appid(), key).header("content-type", "application/json");
        answer(request.body(body)).await
    };
    for (index, body) in
        [body(r"您好\ud83d"), format!("\u{feff}{}", body("您好")), body("您\u{2}好"), body(r"\u0008您\u001b好\u007f")]
            .into_iter()
            .enumerate()
    {
        let answer = post(&format!("key-{index}"), body.clone()).await;
        assert_eq!(answer.status, 202, "{body}: {answer:?}");
        assert_eq!(post(&format!("key-{index}"), body).await.id(), answer.id());
    }
    assert_eq!(texts(&shop.replies_within("oUSER", 4).await), ["您好"; 4]);
    let blank = post("blank", body(r"\u0002\u007f ")).await;
    problem(&blank, 422, "unsendable-message");
    assert!(blank.body.to_string().contains("nothing is left of text without control characters"), "{blank:?}");
    problem(&post("cut", body("hi").split_at(20).0.to_owned()).await, 400, "malformed-request");
}
