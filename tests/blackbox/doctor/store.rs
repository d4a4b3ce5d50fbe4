//! Redis.

use std::time::Duration;

use kefu_harness::port::PortLease;
use kefu_harness::redis::RedisServer;

use super::{Clinic, doctor};

/// Nobody is there: these tests are about Redis.
fn no_queue() -> String {
    format!("amqp://guest:guest@127.0.0.1:{}", PortLease::take().port())
}

/// Has the server do something.
async fn tell(redis: &RedisServer, words: &[&str]) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(word);
    }
    command.query_async::<()>(&mut connection).await.unwrap();
}

#[tokio::test]
async fn redis_that_is_down_or_hangs_is_told_in_time() {
    let clinic = Clinic::open().await;
    let mut redis = RedisServer::start().await;
    let config = clinic.config(&no_queue(), &redis.url(), |text| text);
    redis.stop_signal();
    let report = doctor(&config, &[]).await;
    report.says("redis", "failed", &["Redis", "correct [store] url"]);
    assert!(report.took < Duration::from_secs(20), "{:?}", report.took);
    redis.cont_signal();
    redis.kill();
    doctor(&config, &[]).await.says("redis", "failed", &["Connection refused", "correct [store] url"]);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let clinic = Clinic::open().await;
    let redis = RedisServer::start().await;
    tell(&redis, &["CONFIG", "SET", "requirepass", "right"]).await;
    let config = clinic.config(&no_queue(), &redis.url(), |text| text);
    doctor(&config, &[]).await.says("redis", "failed", &["NOAUTH", "the URL in [store] has none"]);
    let wrong = redis.url().replace("redis://", "redis://:hush-hush@");
    let report = doctor(&clinic.config(&no_queue(), &wrong, |text| text), &[]).await;
    report.says("redis", "failed", &["refuses the login"]);
    assert!(!format!("{:?}", report.checks).contains("hush"), "{:#?}", report.checks);
}

#[tokio::test]
async fn settings_under_which_state_is_lost_are_warned_of() {
    let clinic = Clinic::open().await;
    let redis = RedisServer::start().await;
    let config = clinic.config(&no_queue(), &redis.url(), |text| text);
    tell(&redis, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    tell(&redis, &["CONFIG", "SET", "appendonly", "no"]).await;
    let report = doctor(&config, &[]).await;
    report.says("redis maxmemory-policy", "warning", &["allkeys-lru", "set maxmemory-policy noeviction"]);
    report.says("redis appendonly", "warning", &["a restart forgets", "set appendonly yes"]);
    tell(&redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
    doctor(&config, &[]).await.says("redis role", "failed", &["this Redis is a replica", "name the master"]);
}
