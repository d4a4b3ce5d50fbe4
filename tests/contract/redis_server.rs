//! A redis-server of one's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::clock::eventually;

/// Listens on a free port of loopback, keeps its data in a folder of its own, and is killed when dropped.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let server = Self { process: spawn(port, &folder), port, folder };
        server.answers().await;
        server
    }

    /// One that does not run yet; [`RedisServer::restart`] starts it.
    pub(crate) async fn stopped() -> Self {
        let mut server = Self::start().await;
        server.kill();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on its data, after [`RedisServer::kill`].
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder);
        self.answers().await;
    }

    /// The process hangs: its sockets stay open and nothing is answered.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// A plain connection, to see and set what the seams do not show.
    pub(crate) async fn connect(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap().success());
    }

    async fn answers(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        eventually("the answer of redis-server", async || {
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            redis::cmd("PING").query_async::<String>(&mut connection).await.ok()
        })
        .await;
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn spawn(port: u16, folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(folder.path())
        // What was written outlives the process; a busy disk must not hold the server up.
        .args(["--save", "", "--appendonly", "yes", "--appendfsync", "no"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server must be installed")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
