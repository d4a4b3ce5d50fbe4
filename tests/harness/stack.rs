//! kefu as a whole, on either backend: its servers, its one configuration file and its programs.

use std::path::PathBuf;
use std::time::Duration;

use crate::folder::Folder;
use crate::process::{Launch, Program, Role};
use crate::rabbitmq::{RabbitMq, Vhost};
use crate::redis::RedisServer;
use crate::wechat::{Account, Client};

mod config;

pub use config::{Backend, StackOptions};

/// A running kefu.
#[derive(Debug)]
pub struct Stack {
    /// The programs, in a production stack `kefu-ingress` and then `kefu-worker`; in an embedded one `kefu serve`.
    /// A test may end them and start others from [`Stack::config`].
    pub programs: Vec<Program>,
    /// What it runs on.
    pub servers: Servers,
    /// Sends pushes to it.
    pub pushes: Client,
    config: PathBuf,
    _folder: Folder,
}

/// The servers under a stack; after its programs are gone, they go.
#[derive(Debug)]
pub enum Servers {
    /// None: everything is in a file.
    Embedded,
    /// Its own Redis, its own virtual host.
    Production {
        /// With the claims, the ledger and the tokens.
        redis: RedisServer,
        /// With the queues.
        vhost: Vhost,
    },
}

impl Stack {
    /// Starts servers and programs; all of them are ready when this returns.
    pub async fn start(options: StackOptions) -> Self {
        let servers = match options.backend {
            Backend::Embedded => Servers::Embedded,
            Backend::Production => {
                let (redis, vhost) = tokio::join!(RedisServer::start(), RabbitMq::vhost());
                Servers::Production { redis, vhost }
            }
        };
        Self::start_on(servers, options).await
    }

    /// Starts the programs on servers that run, as [`Stack::start`] does.
    pub async fn start_on(servers: Servers, options: StackOptions) -> Self {
        let folder = Folder::new("stack");
        let (queue, store) = match &servers {
            Servers::Embedded => {
                let url = format!("embedded:{}", folder.path().join("data").display());
                (url.clone(), url)
            }
            Servers::Production { redis, vhost } => (vhost.url(), redis.url()),
        };
        for (name, content) in &options.files {
            folder.write(name, content);
        }
        let config = folder.write("kefu.toml", options.config(&queue, &store));
        let launches = match options.backend {
            Backend::Embedded => vec![Launch::serve(&config)],
            Backend::Production => vec![Launch::ingress(&config), Launch::worker(&config)],
        };
        let starts = launches.into_iter().map(|mut launch| {
            launch.environment.clone_from(&options.environment);
            Program::start(launch)
        });
        let programs = futures_util::future::join_all(starts).await;
        let pushes = Client::new(programs[0].url(Role::Public));
        Self { programs, servers, pushes, config, _folder: folder }
    }

    /// Its `kefu.toml`, for starting more programs on it.
    pub fn config(&self) -> &PathBuf {
        &self.config
    }

    /// The Redis of a production stack.
    ///
    /// # Panics
    /// When the stack is embedded.
    pub fn redis(&mut self) -> &mut RedisServer {
        match &mut self.servers {
            Servers::Production { redis, .. } => redis,
            Servers::Embedded => panic!("it is an embedded stack"),
        }
    }

    /// The virtual host of a production stack.
    ///
    /// # Panics
    /// When the stack is embedded.
    pub fn vhost(&self) -> &Vhost {
        match &self.servers {
            Servers::Production { vhost, .. } => vhost,
            Servers::Embedded => panic!("it is an embedded stack"),
        }
    }

    /// Kills a program and starts it again.
    pub async fn crash_and_restart(&mut self, program: usize) {
        self.programs[program].kill();
        self.programs[program] = Program::start(self.launch(program)).await;
    }

    /// The callback URL of an account, as entered at WeChat.
    pub fn callback(&self, account: &Account) -> String {
        self.pushes.url(&account.appid)
    }

    /// How the program of this number in [`Stack::programs`] is started.
    pub fn launch(&self, program: usize) -> Launch {
        match (&self.servers, program) {
            (Servers::Embedded, _) => Launch::serve(&self.config),
            (Servers::Production { .. }, 0) => Launch::ingress(&self.config),
            (Servers::Production { .. }, _) => Launch::worker(&self.config),
        }
    }

    /// Kills ingress (in an embedded stack all of kefu) and starts it again; it listens on another port then.
    pub async fn crash_and_restart_ingress(&mut self) {
        self.programs[0].kill();
        self.programs.remove(0);
        self.start_ingress().await;
    }

    /// As [`Stack::crash_and_restart_ingress`], with SIGTERM.
    ///
    /// # Panics
    /// When it does not end `within` this time.
    pub async fn stop_and_restart_ingress(&mut self, within: Duration) {
        let ingress = self.programs.remove(0);
        ingress.terminate();
        ingress.end_within(within).await;
        self.start_ingress().await;
    }

    async fn start_ingress(&mut self) {
        self.programs.insert(0, Program::start(self.launch(0)).await);
        self.pushes = Client::new(self.programs[0].url(Role::Public));
    }
}
