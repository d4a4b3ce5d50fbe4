//! The running simulator.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data, JsonConfig, PayloadConfig};
use actix_web::{App, HttpServer};

use crate::clock::Clock;
use crate::config::SimulatorConfig;
use crate::control;
use crate::faults::FaultRequest;
use crate::journal::{Entry, Filter};
use crate::platform::Platform;
use crate::push::BuildError;
use crate::pusher::{Pusher, PusherError};
use crate::report::{LoadReport, LoadRequest, PushReport, PushRequest, VerifyReport};
use crate::world::World;
use crate::{load, pushing, routes};

/// Larger bodies are answered with 413.
const MAX_BODY: usize = 16 * 1_024 * 1_024;
/// How long a stop waits for calls that are being answered.
const SHUTDOWN_S: u64 = 1;

/// A running simulator. Dropped, it stops without waiting; [`Simulator::shutdown`] waits for its end.
pub struct Simulator {
    world: Arc<World>,
    addr: SocketAddr,
    server: ServerHandle,
    ended: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is wrong with the configuration, all of it.
    #[error("the simulator's configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The address cannot be had.
    #[error("the simulator cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// It cannot push.
    #[error(transparent)]
    Pusher(#[from] PusherError),
}

/// Why the simulator refuses to do what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such account.
    #[error("there is no account {0}: name the appid of one of the simulator's accounts")]
    UnknownAccount(String),
    /// The account has no callback URL.
    #[error("account {0} has no callback URL: set one in the configuration or with POST /simulator/callback")]
    NoCallback(String),
    /// A value that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The push cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The simulator stops.
    #[error("the simulator is stopping")]
    Stopped,
}

impl Simulator {
    /// Starts listening. Must be called within a tokio runtime, on which the pushes run.
    ///
    /// # Errors
    /// If the configuration is wrong or the address cannot be had.
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(StartError::Config(faults));
        }
        let listen = config.listen;
        let unlistenable = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).map_err(unlistenable)?;
        let addr = listener.local_addr().map_err(unlistenable)?;
        let runtime = tokio::runtime::Handle::current();
        let world = World::new(Platform::new(config), Pusher::new()?, runtime, format!("http://{addr}"));
        let world = Arc::new(world);

        let data = Data::from(Arc::clone(&world));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(PayloadConfig::new(MAX_BODY))
                .app_data(JsonConfig::default().limit(MAX_BODY).error_handler(control::unreadable))
                .app_data(actix_web::web::QueryConfig::default().error_handler(control::unreadable_query))
                .configure(routes::configure)
        })
        .workers(2)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_S)
        .listen(listener)
        .map_err(unlistenable)?
        .run();
        let handle = server.handle();
        let ended = Some(tokio::spawn(server));
        tracing::info!(%addr, "the simulator listens");
        Ok(Self { world, addr, server: handle, ended })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`: the base URL of the API, without a slash at the end.
    pub fn url(&self) -> String {
        self.world.url.clone()
    }

    /// The time it goes by.
    pub fn clock(&self) -> &Clock {
        &self.world.clock
    }

    /// Sets where an account's pushes go.
    ///
    /// # Errors
    /// If there is no such account, or the URL is none.
    pub fn set_callback(&self, account: &str, url: &str) -> Result<(), RequestError> {
        control::set_callback(&self.world, account, url)
    }

    /// Makes users known who have not written yet; the API refuses unknown openids.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn register(&self, account: &str, users: &[&str]) -> Result<(), RequestError> {
        let mut platform = self.world.lock();
        platform.account(account)?;
        users.iter().for_each(|user| platform.users.register(account, user));
        Ok(())
    }

    /// Pushes and waits for the answers to all copies.
    ///
    /// # Errors
    /// If the request is none that can be sent; a push that fails is no error.
    pub async fn push(&self, request: PushRequest) -> Result<PushReport, RequestError> {
        pushing::push(&self.world, request).await
    }

    /// Does WeChat's URL verification.
    ///
    /// # Errors
    /// If there is no such account or it has no callback URL.
    pub async fn verify(&self, account: &str) -> Result<VerifyReport, RequestError> {
        self.world.verify(account).await
    }

    /// Pushes at a rate.
    ///
    /// # Errors
    /// If the request is none that can be met.
    pub async fn load(&self, request: LoadRequest) -> Result<LoadReport, RequestError> {
        load::load(&self.world, request).await
    }

    /// Orders a fault; gives its number.
    ///
    /// # Errors
    /// If the request is none that can be met.
    pub fn fault(&self, request: FaultRequest) -> Result<u64, RequestError> {
        self.world.lock().order(request)
    }

    /// The journal's entries that match.
    pub fn journal(&self, filter: &Filter) -> Vec<Arc<Entry>> {
        self.world.lock().journal.find(filter)
    }

    /// The number of the journal's last entry, 0 before the first.
    pub fn journal_last(&self) -> u64 {
        self.world.lock().journal.last()
    }

    /// Waits until `count` entries match, at most for `timeout`; gives those that do.
    pub async fn journal_wait(&self, filter: &Filter, count: usize, timeout: Duration) -> Vec<Arc<Entry>> {
        self.world.journal_wait(filter, count, timeout).await
    }

    /// A file that was uploaded or that a user sent, if it is still kept.
    pub fn media(&self, media_id: &str) -> Option<Bytes> {
        self.world.lock().media.peek(media_id).map(|item| item.bytes.clone())
    }

    /// Stops listening and waits for the end, at most a few seconds.
    pub async fn shutdown(mut self) {
        self.world.stopping.cancel();
        self.server.stop(true).await;
        if let Some(ended) = self.ended.take() {
            // It has been told to end; how it did changes nothing any more.
            ended.await.ok();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.world.stopping.cancel();
        if self.ended.is_some() {
            // The command is sent right here; only its completion would have to be awaited.
            drop(self.server.stop(false));
        }
    }
}
