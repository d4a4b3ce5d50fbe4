use kefu_simulator::{Event, Filter, Message, PushRequest};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::bench::{APPID, Bench, SEND, USER};
use crate::callback::{Callback, success};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more\r\n--";

async fn upload(bench: &Bench, kind: &str, part: Part) -> Value {
    let token = bench.stable_token().await;
    let url = bench.url(&format!("/cgi-bin/media/upload?access_token={token}&type={kind}"));
    let form = Form::new().part("media", part);
    bench.http.post(url).multipart(form).send().await.unwrap().json().await.unwrap()
}

fn png() -> Part {
    Part::bytes(PNG).file_name("a.png")
}

#[tokio::test]
async fn an_uploaded_picture_can_be_sent_and_fetched_for_three_days() {
    let bench = Bench::start(None).await;
    bench.user_does(Message::text("hi")).await;
    let uploaded = upload(&bench, "image", png()).await;
    assert_eq!((uploaded["type"].as_str(), uploaded["created_at"].is_i64()), (Some("image"), true));
    let media_id = uploaded["media_id"].as_str().unwrap();
    let image = json!({ "touser": USER, "msgtype": "image", "image": { "media_id": media_id } });
    assert_eq!(bench.errcode(SEND, &image).await, 0);

    let token = bench.stable_token().await;
    let url = bench.url(&format!("/cgi-bin/media/get?access_token={token}&media_id={media_id}"));
    let response = bench.http.get(&url).send().await.unwrap();
    assert_eq!(response.headers()["Content-Type"], "image/png");
    assert!(response.headers()["Content-disposition"].to_str().unwrap().ends_with(".png\""));
    assert_eq!(response.bytes().await.unwrap(), PNG);

    bench.user_does(Message::text("again")).await;
    let limits = json!({ "media_lifetime_s": 0 });
    bench.http.patch(bench.url("/simulator/limits")).json(&limits).send().await.unwrap();
    let expired = upload(&bench, "image", png()).await["media_id"].clone();
    let image = json!({ "touser": USER, "msgtype": "image", "image": { "media_id": expired } });
    assert_eq!(bench.errcode(SEND, &image).await, 40007);
    let gone = bench.get(&format!("/cgi-bin/media/get?access_token={token}&media_id=nothing")).await;
    assert_eq!(gone["errcode"], 40007);
}

#[tokio::test]
async fn an_upload_that_wechat_would_refuse_is_refused() {
    let bench = Bench::start(None).await;
    let cases = [
        ("video", png(), 40004),
        ("image", Part::bytes(PNG), 41005),
        ("image", Part::bytes(PNG).file_name("图.png"), 41005),
        ("image", Part::bytes(&b""[..]).file_name("a.png"), 44001),
        ("image", Part::bytes(PNG).file_name("a.bmp"), 40005),
        ("image", Part::bytes(&b"BM"[..]).file_name("a.png"), 40137),
        ("image", Part::bytes([PNG, &[0; 2 * 1_024 * 1_024]].concat()).file_name("a.png"), 45001),
    ];
    for (kind, part, expected) in cases {
        assert_eq!(upload(&bench, kind, part).await["errcode"], expected);
    }
    let json = bench.call("/cgi-bin/media/upload", &json!({})).await;
    assert_eq!(json["errcode"], 40004);
    let uploads = bench.simulator.journal(&Filter { path: Some("media/upload".to_owned()), ..Filter::default() });
    let Event::ApiCall(call) = &uploads[4].event else { panic!() };
    assert_eq!(call.request, json!({ "filename": "a.bmp", "bytes": PNG.len() }));
}

#[tokio::test]
async fn a_picture_that_a_user_sends_can_be_fetched() {
    let callback = Callback::start([success()]);
    let bench = Bench::start(Some(&callback.url)).await;
    bench.simulator.push(PushRequest::new(APPID, USER, Message::image())).await.unwrap();
    let push = kefu_wechat::push::Push::parse(&callback.seen()[0].body).unwrap();
    let kefu_wechat::push::Content::Image { pic_url, media_id } = push.content else { panic!() };
    let token = bench.stable_token().await;
    let by_id = bench.url(&format!("/cgi-bin/media/get?access_token={token}&media_id={media_id}"));
    for url in [pic_url, by_id] {
        let response = bench.http.get(url).send().await.unwrap();
        assert_eq!(response.headers()["Content-Type"], "image/png");
    }
}
