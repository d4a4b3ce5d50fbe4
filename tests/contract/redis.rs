//! What the store on Redis promises beyond the seams: how it fails, how it comes back, what an operator finds in it.

mod failover;
mod layout;
mod outage;
mod seats;
mod server;

use ::redis::Client;
use ::redis::aio::MultiplexedConnection;
use kefu_harness::redis::RedisServer;

/// A plain connection, to see and set what the seams do not show.
async fn connect(server: &RedisServer) -> MultiplexedConnection {
    Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}
