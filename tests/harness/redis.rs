//! A redis-server of a test's own.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually;
use crate::folder::Folder;
use crate::owned::OwnedProcess;
use crate::port::PortLease;

/// How long a start, or a start on a log of earlier writes, may take.
const START: Duration = Duration::from_secs(30);
const LOG: &str = "redis.log";

/// A redis-server on a private port with private data, as production runs it: append-only, nothing evicted.
#[derive(Debug)]
pub struct RedisServer {
    process: OwnedProcess,
    port: PortLease,
    folder: Folder,
}

impl RedisServer {
    /// Starts one; it answers when this returns.
    pub async fn start() -> Self {
        let (port, folder) = (PortLease::take(), Folder::new("redis"));
        let process = launch(&port, &folder);
        let mut server = Self { process, port, folder };
        server.answers().await;
        server
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.port())
    }

    /// SIGKILL: a crash. Data and port stay for [`RedisServer::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP: connections stay open and nobody answers.
    pub fn stop_signal(&self) {
        self.process.signal_group(Signal::STOP);
    }

    /// SIGCONT: ends [`RedisServer::stop_signal`].
    pub fn cont_signal(&self) {
        self.process.signal_group(Signal::CONT);
    }

    /// Starts it again on its port and data, after killing it if it still runs.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = launch(&self.port, &self.folder);
        self.answers().await;
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        self.folder.tail(LOG, 40)
    }

    async fn answers(&mut self) {
        let port = self.port.port();
        eventually(START, "redis-server answers", async || {
            if let Some(status) = self.process.exited() {
                panic!("redis-server ended with {status}:\n{}", self.log());
            }
            match ping(port).await {
                Ok(answer) if answer.starts_with("+PONG") => Ok(()),
                Ok(other) => Err(other),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- redis-server on {}:\n{}", self.port.port(), self.log());
        }
    }
}

fn launch(port: &PortLease, folder: &Folder) -> OwnedProcess {
    let program =
        std::env::var_os("KEFU_TEST_REDIS_SERVER").map_or_else(|| PathBuf::from("redis-server"), PathBuf::from);
    let port = port.port().to_string();
    let options = [
        ["--bind", "127.0.0.1"],
        ["--port", &port],
        ["--dir", folder.path().to_str().expect("the temporary folder's path is UTF-8")],
        ["--logfile", LOG],
        ["--appendonly", "yes"],
        ["--maxmemory-policy", "noeviction"],
        ["--save", ""],
    ];
    let printed =
        File::options().create(true).append(true).open(folder.path().join(LOG)).expect("a file of the test's");
    let errors = printed.try_clone().expect("a file can be shared");
    OwnedProcess::start(&program, options.concat(), |command| {
        command.current_dir(folder.path()).stdout(printed).stderr(errors);
    })
    .unwrap_or_else(|error| panic!("{}: {error}: run tests/run, which provides it", program.display()))
}

async fn ping(port: u16) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.write_all(b"PING\r\n").await?;
    let mut answer = [0; 64];
    let read = connection.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}
