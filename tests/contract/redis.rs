//! What the store on Redis promises beyond the seams: how it fails, how it comes back, what an operator finds in it.

mod failover;
mod layout;
mod outage;
mod seats;
mod server;

use std::time::Duration;

use ::redis::Client;
use ::redis::aio::MultiplexedConnection;
use kefu_harness::redis::RedisServer;
use kefu_messages::message_key::MessageKey;
use kefu_store::Stores;

const LONG: Duration = Duration::from_secs(60);

fn key() -> MessageKey {
    MessageKey::from_text("wx1|gh_1|oUser|1")
}

/// A store on a server of its own.
async fn begin() -> (RedisServer, Stores) {
    let server = RedisServer::start().await;
    let stores = kefu_store::redis::open(&server.url()).await.unwrap();
    (server, stores)
}

/// A plain connection, to see and set what the seams do not show.
async fn connect(server: &RedisServer) -> MultiplexedConnection {
    Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}
