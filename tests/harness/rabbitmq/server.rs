//! A rabbitmq-server as a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde::Deserialize;

use super::installation::Installation;
use super::{Broker, management};
use crate::eventually;
use crate::folder::Folder;
use crate::owned::OwnedProcess;
use crate::port::PortLease;

/// How long a start may take: 5 s alone, much more beside a compiler on two cores.
const START: Duration = Duration::from_secs(120);

/// epmd, which tells Erlang's nodes of each other, is started here, in the foreground and first: RabbitMQ itself would
/// start it as a daemon that outlives it.
const SCRIPT: &str = r#"
mkdir -p "$HOME"
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 &
while kill -0 $! && ! epmd -port "$ERL_EPMD_PORT" -names; do sleep 0.05; done >/dev/null 2>&1
exec rabbitmq-server"#;

#[derive(Deserialize)]
struct Overview {
    rabbitmq_version: String,
}

#[derive(Debug)]
pub(super) struct Server {
    process: OwnedProcess,
    broker: Broker,
    files: Folder,
    _ports: [PortLease; 4],
}

impl Server {
    pub(super) async fn start() -> Self {
        let ports = [(); 4].map(|()| PortLease::take());
        let files = Folder::new("rabbitmq");
        let broker = Broker {
            installation: Installation::find(),
            files: files.path().to_owned(),
            amqp_port: ports[0].port(),
            management_port: ports[1].port(),
            distribution_port: ports[2].port(),
            epmd_port: ports[3].port(),
        };
        files.write("plugins", "[rabbitmq_management].\n");
        files.write(
            "rabbitmq.conf",
            format!(
                "management.tcp.ip = 127.0.0.1\n\
                 management.tcp.port = {}\n\
                 log.file.level = warning\n\
                 management_agent.disable_metrics_collector = true\n\
                 raft.wal_max_size_bytes = 64000000\n",
                broker.management_port
            ),
        );
        let mut server = Self { process: launch(&broker), broker, files, _ports: ports };
        server.answers().await;
        server
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.process.signal_group(signal);
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    pub(super) async fn restart(&mut self) {
        self.process.kill();
        self.process = launch(&self.broker);
        self.answers().await;
        // Until a quorum queue has elected its leader, RabbitMQ says that it is empty.
        let leaderless = "[N || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue,
            {resource, _, _, N} <- [amqqueue:get_name(Q)], element(1, ra:members(amqqueue:get_pid(Q))) =/= ok].";
        eventually(START, "the quorum queues have leaders", async || {
            let printed = self.broker.rabbitmqctl(&["eval", leaderless]).await;
            if printed.trim() == "[]" { Ok(()) } else { Err(printed) }
        })
        .await;
    }

    async fn answers(&mut self) {
        let broker = self.broker.clone();
        eventually(START, "rabbitmq-server answers", async || {
            if let Some(status) = self.process.exited() {
                panic!("rabbitmq-server ended with {status}:\n{}", broker.log());
            }
            let broker = broker.clone();
            let asked = tokio::task::spawn_blocking(move || answers(&broker)).await;
            asked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- rabbitmq-server in {}:\n{}", self.files.path().display(), self.broker.log());
        }
    }
}

fn launch(broker: &Broker) -> OwnedProcess {
    let line = broker.installation.shell(&broker.files, SCRIPT, &[]);
    let printed = File::options().create(true).append(true).open(broker.files.join("printed"));
    let printed = printed.expect("the server's folder takes files");
    let errors = printed.try_clone().expect("a file can be shared");
    OwnedProcess::start(&line[0], &line[1..], |command| {
        command.env_clear().envs(broker.environment()).stdout(printed).stderr(errors);
    })
    .expect("sh must start")
}

/// Whether AMQP clients and the HTTP API are let in: the ports are opened last.
fn answers(broker: &Broker) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", broker.amqp_port))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut frame_type = [0];
    connection.read_exact(&mut frame_type)?;
    if frame_type != [1] {
        return Err(std::io::Error::other("it does not speak AMQP 0-9-1 on its port"));
    }
    match management::call(broker, "GET", "/api/overview")? {
        (200, body) => {
            let overview: Overview = serde_json::from_str(&body)?;
            let major = overview.rabbitmq_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
            assert!(
                major >= Some(4),
                "RabbitMQ {} is too old for the tests: run tests/run, which provides 4.0 or later",
                overview.rabbitmq_version
            );
            Ok(())
        }
        (status, _) => Err(std::io::Error::other(format!("its HTTP API says {status}"))),
    }
}
