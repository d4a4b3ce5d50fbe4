//! A running RabbitMQ as seen by whoever uses it: addresses, and RabbitMQ's own tools.

use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::installation::Installation;
use crate::eventually;
use crate::folder::tail;
use crate::owned::OwnedProcess;

/// How long one of RabbitMQ's tools may take; about a second each, and much more on a busy machine.
const TOOL: Duration = Duration::from_secs(60);

/// Where a RabbitMQ is and how it is called. Processes hand it to each other as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    pub(super) installation: Installation,
    /// The server's files.
    pub(super) files: std::path::PathBuf,
    pub(super) amqp_port: u16,
    pub(super) management_port: u16,
    pub(super) distribution_port: u16,
    pub(super) epmd_port: u16,
}

impl Broker {
    /// `amqp://guest:guest@127.0.0.1:PORT`, without a virtual host.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.amqp_port)
    }

    /// `http://127.0.0.1:PORT`: its management page.
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.management_port)
    }

    /// The port of the server's own epmd, which lives and dies with it.
    pub fn epmd_port(&self) -> u16 {
        self.epmd_port
    }

    /// Runs `rabbitmqctl` and returns what it printed.
    ///
    /// # Panics
    /// When it fails, or takes more than a minute: a stopped server never answers it. When the server is dead: asked
    /// then, `rabbitmqctl` starts an epmd, a daemon that nobody ends.
    pub async fn rabbitmqctl(&self, args: &[&str]) -> String {
        if let Err(error) = std::net::TcpStream::connect(("127.0.0.1", self.epmd_port)) {
            panic!("rabbitmqctl {args:?} is not run, the server's epmd is dead: {error}");
        }
        let line = self.installation.shell(&self.files, "exec rabbitmqctl --quiet \"$@\"", args);
        let mut process = OwnedProcess::start(&line[0], &line[1..], |command| {
            command.env_clear().envs(self.environment()).stdout(Stdio::piped()).stderr(Stdio::piped());
        })
        .expect("sh must start");
        let child = process.child();
        let (stdout, stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let printed = tokio::task::spawn_blocking(move || std::io::read_to_string(stdout));
        let complained = tokio::task::spawn_blocking(move || std::io::read_to_string(stderr));
        let what = format!("rabbitmqctl {} ends", args.join(" "));
        let status = eventually(TOOL, &what, async || process.exited().ok_or("it runs")).await;
        let printed = printed.await.expect("reading does not panic").expect("rabbitmqctl prints UTF-8");
        let complained = complained.await.expect("reading does not panic").expect("rabbitmqctl prints UTF-8");
        assert!(status.success(), "rabbitmqctl {args:?}: {status}\n{printed}{complained}");
        printed
    }

    /// The end of what the server printed and logged.
    pub fn log(&self) -> String {
        let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let printed = read(self.files.join("printed"));
        let logged = read(self.files.join("log/kefu@localhost.log"));
        format!("{}\n{}", tail(&printed, 10), tail(&logged, 60))
    }

    /// The environment of the server and its tools, and nothing else: the caller's own settings must not leak in.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let seen = self.installation.seen(&self.files);
        let file = |name: &str| seen.join(name).to_str().expect("the temporary folder's path is UTF-8").to_owned();
        // Not listening beyond loopback; no busy waiting, which would take a core each on small machines.
        let erlang = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";
        let mut environment = vec![
            ("PATH", self.installation.system_path()),
            ("LANG", "C.UTF-8".to_owned()),
            ("HOME", file("home")),
            ("RABBITMQ_NODENAME", "kefu@localhost".to_owned()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", self.amqp_port.to_string()),
            ("RABBITMQ_DIST_PORT", self.distribution_port.to_string()),
            ("ERL_EPMD_PORT", self.epmd_port.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_MNESIA_BASE", file("data")),
            ("RABBITMQ_LOG_BASE", file("log")),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins")),
            ("RABBITMQ_CONF_ENV_FILE", file("no-such-file")),
            ("RABBITMQ_PID_FILE", file("pid")),
            ("ERL_CRASH_DUMP", file("erl_crash.dump")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang.to_owned()),
        ];
        environment.extend(std::env::var("KEFU_TEST_RUN").ok().map(|run| ("KEFU_TEST_RUN", run)));
        environment
    }
}
