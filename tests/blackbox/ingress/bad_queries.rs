//! Queries that WeChat did not sign.

use kefu_harness::wechat::{Account, Format, Message, Mode, PushRequest};

use super::{Ingress, USER, assert_refused, assert_success};

fn doubled(request: &PushRequest, name: &str) -> PushRequest {
    let mut request = request.clone();
    let value = request.parameter(name).unwrap().to_owned();
    request.query.push((name.to_owned(), value));
    request
}

#[tokio::test]
async fn wrong_missing_and_doubled_parameters_are_refused() {
    let (ingress, accounts) = Ingress::in_every_mode().await;
    for account in &accounts {
        let push = account.push(Format::Json, &Message::text(USER, "hi"));
        // In plain mode `signature` counts, in the others `msg_signature`.
        let signing = if account.mode == Mode::Plain { "signature" } else { "msg_signature" };
        for name in ["timestamp", "nonce", signing] {
            let case = |what: &str| format!("{what} {name} in {:?} mode", account.mode);
            let other = push.clone().with_parameter(name, "1");
            assert_refused(&ingress.pushes.send(&account.appid, &other).await, 401, &case("another"));
            let missing = push.clone().without_parameter(name);
            assert_refused(&ingress.pushes.send(&account.appid, &missing).await, 401, &case("no"));
            assert_refused(&ingress.pushes.send(&account.appid, &doubled(&push, name)).await, 401, &case("a doubled"));
        }
        let strange = push.clone().with_parameter("tracking", "%00%ff").with_parameter("openid", "somebody");
        assert_success(&ingress.pushes.send(&account.appid, &strange).await, "parameters that nothing depends on");
    }
    ingress.stores(3).await;
}

#[tokio::test]
async fn the_signature_of_the_url_does_not_open_safe_or_compat_mode() {
    for mode in [Mode::Safe, Mode::Compat] {
        let account = Account::random(mode);
        let ingress = Ingress::start(&[&account]).await;
        // A valid signature over timestamp and nonce, as anybody has who saw one request line.
        let message = Message::text(USER, "forged");
        let plain = Account { mode: Mode::Plain, ..account.clone() }.push(Format::Xml, &message);
        assert_refused(&ingress.pushes.send(&account.appid, &plain).await, 401, "a plain body");
        let with_signature = plain.clone().with_parameter("msg_signature", plain.parameter("signature").unwrap());
        assert_refused(&ingress.pushes.send(&account.appid, &with_signature).await, 401, "signature as msg_signature");
        ingress.stores(0).await;
    }
}

#[tokio::test]
async fn the_plain_half_of_a_compat_push_is_not_believed() {
    let (ingress, account) = Ingress::in_mode(Mode::Compat).await;
    let push = account.push(Format::Json, &Message::text(USER, "rightful"));
    let body = String::from_utf8(push.body.clone()).unwrap();
    let broken = push.clone().with_body(body.replace("\"MsgType\":\"text\"", "\"MsgType\":\"\""));
    // The fields in clear make no push at all; it is taken for what is in `Encrypt`.
    assert_success(&ingress.pushes.send(&account.appid, &broken).await, "altered plain fields");
    ingress.stores(1).await;
}

#[tokio::test]
async fn the_msg_signature_of_another_body_is_refused() {
    let (ingress, account) = Ingress::in_mode(Mode::Safe).await;
    let one = account.push(Format::Xml, &Message::text(USER, "one"));
    let two = account.push(Format::Xml, &Message::text(USER, "two"));
    assert_refused(&ingress.pushes.send(&account.appid, &one.clone().with_body(two.body)).await, 401, "swapped");
    assert_success(&ingress.pushes.send(&account.appid, &one).await, "its own");
}
