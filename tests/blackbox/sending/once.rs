//! The same request again: it is sent once.

use futures_util::future::join_all;

use super::*;

/// Long enough for a copy to have been sent, had there been one: what comes after it in the user's lane is.
async fn nothing_more_comes(shop: &Shop, caller: &Caller, user: &str, expected: &[&str]) {
    let id = caller.accepted(shop.appid(), &format!("after-{user}"), &text(user, "after")).await;
    caller.becomes(&id, "sent").await;
    assert_eq!(texts(&shop.replies(user)), [expected, &["after"]].concat());
}

async fn a_repeated_request_is_sent_once(backend: Backend) {
    let (mut shop, caller) = start(backend).await;
    for user in ["oONE", "oMANY"] {
        writes(&shop, user).await;
    }
    let one = caller.accepted(shop.appid(), "k1", &text("oONE", "one")).await;
    // The same, written otherwise.
    let written_otherwise = r#"{ "replies": [ {"is_ai_msg": false, "text": "\u006fne"} ],  "to": "oONE" }"#;
    let request = caller.request(shop.appid(), "k1").header("content-type", "application/json; charset=utf-8");
    let again = answer(request.body(written_otherwise)).await;
    assert_eq!((again.status, again.id()), (202, one.as_str()));
    caller.becomes(&one, "sent").await;

    let body = text("oMANY", "many");
    let many = join_all((0..20).map(|_| caller.send(shop.appid(), "k2", &body))).await;
    assert!(many.iter().all(|answer| answer.status == 202 && answer.id() == many[0].id()), "{many:?}");
    caller.becomes(many[0].id(), "sent").await;

    let other = caller.send(shop.appid(), "k1", &text("oONE", "another")).await;
    assert_eq!((other.status, other.header("content-type")), (422, "application/problem+json"));
    assert_eq!(other.body["type"], "urn:kefu:problem:idempotency-key-reused");

    shop.stack.crash_and_restart_ingress().await;
    let caller = Caller::of(&shop.stack.programs[0]);
    let after = caller.send(shop.appid(), "k1", &text("oONE", "one")).await;
    assert_eq!((after.status, after.id(), &after.body["status"]), (202, one.as_str(), &json!("sent")));
    assert_eq!(caller.send(shop.appid(), "k1", &text("oONE", "another")).await.status, 422);
    nothing_more_comes(&shop, &caller, "oONE", &["one"]).await;
    nothing_more_comes(&shop, &caller, "oMANY", &["many"]).await;
}

on_each_backend!(a_repeated_request_is_sent_once);

#[tokio::test]
async fn accounts_have_keys_of_their_own() {
    let mut options = options(Backend::Embedded);
    options.accounts.push(kefu_harness::wechat::Account::random(kefu_harness::wechat::Mode::Safe));
    let shop = Shop::start(options).await;
    let caller = Caller::of(&shop.stack.programs[0]);
    let ids = [
        caller.accepted(&shop.accounts[0].appid, "k", &text("oUSER", "first")).await,
        caller.accepted(&shop.accounts[1].appid, "k", &text("oUSER", "second")).await,
    ];
    assert_ne!(ids[0], ids[1]);
}
