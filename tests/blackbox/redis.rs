//! The Redis fixture.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::redis::RedisServer;
use redis::AsyncCommands;

async fn connect(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn redis_keeps_its_data_and_its_address_over_a_crash() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    let () = connect(&server).await.set("kept", "yes").await.unwrap();
    server.kill();
    assert!(redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.is_err());
    server.restart().await;
    assert_eq!(server.url(), url);
    let kept: String = connect(&server).await.get("kept").await.unwrap();
    assert_eq!(kept, "yes");
}

#[tokio::test]
async fn redis_runs_as_in_production() {
    let server = RedisServer::start().await;
    let mut connection = connect(&server).await;
    for (setting, expected) in [("appendonly", "yes"), ("maxmemory-policy", "noeviction")] {
        let got: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(setting).query_async(&mut connection).await.unwrap();
        assert_eq!(got, [setting, expected]);
    }
}

#[tokio::test]
async fn two_redis_servers_know_nothing_of_each_other() {
    let (one, other) = tokio::join!(RedisServer::start(), RedisServer::start());
    let () = connect(&one).await.set("key", "one").await.unwrap();
    let seen: Option<String> = connect(&other).await.get("key").await.unwrap();
    assert_eq!(seen, None);
}

#[tokio::test]
async fn a_stopped_redis_is_silent_until_it_goes_on() {
    let server = RedisServer::start().await;
    let mut connection = connect(&server).await;
    server.stop_signal();
    let asked = tokio::time::timeout(Duration::from_millis(200), connection.set::<_, _, ()>("late", "yes")).await;
    assert!(asked.is_err(), "a stopped server answered: {asked:?}");
    server.cont_signal();
    eventually(Duration::from_secs(10), "the write that waited is done", async || {
        let late: Option<String> = connection.get("late").await.map_err(|error| error.to_string())?;
        late.ok_or_else(|| "no key".to_owned())
    })
    .await;
}
