//! The keys and values that the module's head describes to operators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kefu_harness::redis::RedisServer;
use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;
use kefu_messages::session::{SessionKey, UserKey};
use kefu_messages::testing::{envelope, pushed};
use kefu_messages::window::{Opening, Refused};
use kefu_store::{Exchange, LedgerClaim, Progress, StoreError, StoredToken, Stores, Written};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, cmd};
use secrecy::SecretString;
use serde_json::json;

use super::{LONG, connect, key};

fn user() -> SessionKey {
    let push = json!({ "MsgType": "text", "MsgId": 1, "BusinessId": 7 });
    SessionKey::of("wx1", &pushed("wx1", "oUser", push).push)
}

fn speaker() -> SessionKey {
    SessionKey::of("wx1", &envelope("oUser", 1).push)
}

async fn begin() -> (RedisServer, Stores, MultiplexedConnection) {
    let (server, stores) = super::begin().await;
    let connection = connect(&server).await;
    (server, stores, connection)
}

async fn fields(connection: &mut MultiplexedConnection, key: &str) -> BTreeMap<String, String> {
    connection.hgetall(key).await.unwrap()
}

#[tokio::test]
async fn a_claim_is_a_string_with_its_owner_and_then_d() {
    let (_server, stores, mut connection) = begin().await;
    stores.claims.claim(&key(), "owner-1", LONG).await.unwrap();
    let claim = "kefu:claim:{wx1|gh_1|oUser|1}";
    assert_eq!(connection.get::<_, String>(claim).await.unwrap(), "p:owner-1");
    stores.claims.complete(&key(), "", LONG).await.unwrap();
    assert_eq!(connection.get::<_, String>(claim).await.unwrap(), "d");
}

#[tokio::test]
async fn a_window_is_a_hash_of_the_latest_message_and_entering() {
    let (_server, stores, mut connection) = begin().await;
    let (user, now) = (user(), 1_700_000_000_000);
    stores.windows.open(&user, Opening::Enter, &key(), now, LONG).await.unwrap();
    let seen = stores.windows.open(&user, Opening::Message, &key(), now + 1, LONG).await.unwrap();
    stores.windows.count(&user, &seen, &key(), 3, LONG).await.unwrap();
    stores.windows.refuse(&user, &seen, Refused::OutOfCount, LONG).await.unwrap();
    let expected = [
        ("counted", "wx1|gh_1|oUser|1 3"),
        ("e_at", "1700000000000"),
        ("e_by", "wx1|gh_1|oUser|1"),
        ("e_refused", "count"),
        ("e_sent", "1"),
        ("m_at", "1700000000001"),
        ("m_by", "wx1|gh_1|oUser|1"),
        ("m_refused", "count"),
        ("m_sent", "1"),
    ];
    let found = fields(&mut connection, "kefu:window:{wx1|oUser|7}").await;
    assert_eq!(found, expected.map(|(field, value)| (field.into(), value.into())).into());
    stores.windows.transfer(&user, now + 2, LONG).await.unwrap();
    let found = fields(&mut connection, "kefu:window:{wx1|oUser|7}").await;
    assert_eq!(found, [("unknown_until".into(), "1700000000002".into())].into());
}

#[tokio::test]
async fn a_job_is_a_hash_that_loses_its_plan_when_it_is_done() {
    let (_server, stores, mut connection) = begin().await;
    let job = "kefu:job:{wx1|gh_1|oUser|1}";
    let LedgerClaim::Claimed(claimed) = stores.ledger.claim(&key(), "worker-1", LONG, LONG).await.unwrap() else {
        panic!("not claimed")
    };
    let plan = Plan::default();
    assert_eq!(stores.ledger.begin(&key(), claimed.fence, 0, Some(&plan), LONG).await.unwrap(), Written::Yes);
    let mut found = fields(&mut connection, job).await;
    assert_eq!(found.remove("fence"), Some(claimed.fence.to_string()));
    assert!(found.remove("until").unwrap().parse::<u64>().is_ok(), "no exponent and no fraction");
    let expected = [("owner", "worker-1"), ("plan", r#"{"steps":[]}"#), ("sending", "0"), ("state", "open")];
    assert_eq!(found, expected.map(|(field, value)| (field.into(), value.into())).into());

    assert_eq!(stores.ledger.sent(&key(), claimed.fence, 0, Some(LONG)).await.unwrap(), Written::Yes);
    let fence = claimed.fence.to_string();
    let expected = [("fence", fence.as_str()), ("next", "1"), ("state", "done")];
    assert_eq!(fields(&mut connection, job).await, expected.map(|(field, value)| (field.into(), value.into())).into());
}

#[tokio::test]
async fn each_thing_is_one_key_in_braces_and_has_an_expiry() {
    let (_server, stores, mut connection) = begin().await;
    stores.claims.claim(&key(), "owner-1", LONG).await.unwrap();
    stores.ledger.claim(&key(), "worker-1", LONG, LONG).await.unwrap();
    let fence = stores.tokens.lock("wx1", "worker-1", Duration::from_secs(1)).await.unwrap().unwrap();
    let token = StoredToken { value: SecretString::from("token-1"), expires_in: LONG };
    assert_eq!(stores.tokens.store("wx1", fence, &token).await.unwrap(), Written::Yes);
    stores.tokens.lock("wx1", "worker-1", Duration::from_secs(1)).await.unwrap();
    stores.media.put("wx1", "abc123", "media-1", LONG).await.unwrap();
    stores.windows.open(&user(), Opening::Message, &key(), 1, LONG).await.unwrap();
    stores.messages.open("0a1b", "fingerprint-1", LONG).await.unwrap();
    stores.messages.set("2c3d", &Progress::Queued { accepted_at_ms: 1 }, LONG).await.unwrap();
    let exchange = Exchange { asked: "hi".into(), answered: "hello".into() };
    stores.conversations.remember(&speaker(), &key(), &exchange, 10, LONG).await.unwrap();

    stores.order.leave(&UserKey::of(&envelope("oUser", 1)), &key(), Duration::ZERO, LONG).await.unwrap();
    stores.seats.unwrap().take("worker-1", 0, LONG).await.unwrap();

    let keys: BTreeSet<String> = connection.keys("*").await.unwrap();
    let expected = [
        "kefu:claim:{wx1|gh_1|oUser|1}",
        "kefu:conversation:{wx1|oUser}",
        "kefu:job:{wx1|gh_1|oUser|1}",
        "kefu:media:{wx1}:abc123",
        "kefu:order:{wx1|oUser}",
        "kefu:seats",
        "kefu:send:{0a1b}",
        "kefu:send:{2c3d}",
        "kefu:token:{wx1}",
        "kefu:window:{wx1|oUser|7}",
    ];
    assert_eq!(keys, expected.map(String::from).into());
    for key in keys {
        let seconds: i64 = connection.ttl(&key).await.unwrap();
        assert!((31..=60).contains(&seconds), "{key}: {seconds}, a short lock must not shorten the token's life");
    }
}

#[tokio::test]
async fn a_conversation_is_a_list_of_exchanges_and_what_has_ended_leaves_it() {
    let (_server, stores, mut connection) = begin().await;
    let (conversation, user) = ("kefu:conversation:{wx1|oUser}", speaker());
    let exchange = Exchange { asked: "hi".into(), answered: "hello".into() };
    let remember = |id: &'static str, keep_for| {
        let key = MessageKey::from_text(id);
        let (stores, user, exchange) = (stores.clone(), user.clone(), exchange.clone());
        async move { stores.conversations.remember(&user, &key, &exchange, 10, keep_for).await.unwrap() }
    };
    remember("1", Duration::from_millis(1)).await;
    remember("2", LONG).await;
    let ended = async || stores.conversations.recall(&user).await.unwrap().len() == 1;
    crate::clock::eventually("the end of the first", async || ended().await.then_some(())).await;
    remember("3", Duration::from_secs(1)).await;
    let entries: Vec<String> = connection.lrange(conversation, 0, -1).await.unwrap();
    assert_eq!(entries.len(), 2, "{entries:?}");
    let digest = MessageKey::from_text("2").to_string();
    let (end, rest) = entries[0].split_once(' ').unwrap();
    assert!(end.parse::<u64>().is_ok(), "no exponent and no fraction");
    assert_eq!(rest, format!(r#"{digest} {{"asked":"hi","answered":"hello"}}"#));
    let seconds: i64 = connection.ttl(conversation).await.unwrap();
    assert!((31..=60).contains(&seconds), "the last one's time does not shorten the others': {seconds}");
}

#[tokio::test]
async fn a_fence_grows_even_when_redis_forgot_the_last() {
    let (_server, stores, mut connection) = begin().await;
    let mut last = (0, 0);
    for _ in 0..3 {
        let LedgerClaim::Claimed(job) = stores.ledger.claim(&key(), "worker-1", LONG, LONG).await.unwrap() else {
            panic!("not claimed")
        };
        let lock = stores.tokens.lock("wx1", "worker-1", LONG).await.unwrap().unwrap();
        assert!(job.fence > last.0 && lock > last.1);
        last = (job.fence, lock);
        cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn what_kefu_did_not_write_is_reported_without_showing_it() {
    let (_server, stores, mut connection) = begin().await;
    let (claim, job, token) = ("kefu:claim:{wx1|gh_1|oUser|1}", "kefu:job:{wx1|gh_1|oUser|1}", "kefu:token:{wx1}");
    let mut errors = Vec::new();

    connection.set::<_, _, ()>(claim, "oUser").await.unwrap();
    errors.push(stores.claims.claim(&key(), "a", LONG).await.unwrap_err());
    connection.set::<_, _, ()>(job, "oUser").await.unwrap();
    errors.push(stores.ledger.claim(&key(), "a", LONG, LONG).await.unwrap_err());
    connection.set::<_, _, ()>(token, "oUser").await.unwrap();
    errors.push(stores.tokens.get("wx1").await.unwrap_err());
    let conversation = "kefu:conversation:{wx1|oUser}";
    for wrong in ["oUser", "99999999999999 ab {oUser"] {
        connection.del::<_, ()>(conversation).await.unwrap();
        connection.rpush::<_, _, ()>(conversation, wrong).await.unwrap();
        errors.push(stores.conversations.recall(&speaker()).await.unwrap_err());
    }
    for wrong in [[("state", "oUser")], [("plan", "{oUser")], [("fence", "oUser")], [("next", "oUser")]] {
        connection.del::<_, ()>(job).await.unwrap();
        connection.hset_multiple::<_, _, _, ()>(job, &wrong).await.unwrap();
        errors.push(stores.ledger.claim(&key(), "a", LONG, LONG).await.unwrap_err());
    }
    let order = "kefu:order:{wx1|oUser}";
    connection.set::<_, _, ()>(order, "oUser").await.unwrap();
    errors.push(stores.order.place(&UserKey::of(&envelope("oUser", 1)), &key()).await.unwrap_err());
    let window = "kefu:window:{wx1|oUser|7}";
    connection.set::<_, _, ()>(window, "oUser").await.unwrap();
    errors.push(stores.windows.get(&user()).await.unwrap_err());
    for wrong in [[("m_at", "oUser")], [("m_refused", "oUser")]] {
        connection.del::<_, ()>(window).await.unwrap();
        connection.hset_multiple::<_, _, _, ()>(window, &[("m_at", "1")]).await.unwrap();
        connection.hset_multiple::<_, _, _, ()>(window, &wrong).await.unwrap();
        errors.push(stores.windows.get(&user()).await.unwrap_err());
    }
    for error in errors {
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        assert!(!error.to_string().contains("oUser") && !error.to_string().contains("wx1"), "{error}");
    }
}
