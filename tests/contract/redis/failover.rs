//! One address, behind it first one server and then another.

use std::sync::{Arc, Mutex};

use kefu_harness::redis::RedisServer;
use kefu_store::redis::open;
use redis::cmd;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::clock::eventually;

/// Forwards each new connection to the server that is the target then; older ones stay where they are.
struct Address {
    port: u16,
    target: Arc<Mutex<String>>,
    accepting: JoinHandle<()>,
}

impl Address {
    async fn of(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(Mutex::new(host_and_port(server)));
        let current = target.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = current.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(target).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { port, target, accepting }
    }

    fn leads_to(&self, server: &RedisServer) {
        *self.target.lock().unwrap() = host_and_port(server);
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn host_and_port(server: &RedisServer) -> String {
    server.url().replace("redis://", "")
}

impl Drop for Address {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_left_for_the_one_that_took_its_address() {
    let (first, second) = (RedisServer::start().await, RedisServer::start().await);
    let address = Address::of(&first).await;
    let stores = open(&address.url()).await.unwrap();
    stores.probe.probe().await.unwrap();
    first.stop_signal();
    address.leads_to(&second);
    eventually("an answer of the second", async || stores.probe.probe().await.ok()).await;
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_left_though_it_answers_readers() {
    let (first, second) = (RedisServer::start().await, RedisServer::start().await);
    let address = Address::of(&first).await;
    let stores = open(&address.url()).await.unwrap();
    stores.probe.probe().await.unwrap();
    let mut connection = super::connect(&first).await;
    // Port 1 has no master; that does not matter to who may write.
    cmd("REPLICAOF").arg("127.0.0.1").arg(1).query_async::<()>(&mut connection).await.unwrap();
    address.leads_to(&second);
    eventually("a write", async || {
        stores.media.get("wx1", "abc123").await.ok();
        stores.probe.probe().await.ok()
    })
    .await;
}
