//! The server of a running simulator.

use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data, JsonConfig, PayloadConfig, QueryConfig};
use actix_web::{App, HttpServer};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::SimulatorConfig;
use crate::push::pusher::Pusher;
use crate::start_error::StartError;
use crate::state::State;
use crate::{api, control};

/// How long a stop waits for the calls that the simulator is answering.
const SHUTDOWN_S: u64 = 1;

/// A running simulator with the methods of [`State`]. Dropping the simulator stops it without waiting;
/// [`Simulator::shutdown`] waits for its end.
pub struct Simulator {
    state: Arc<State>,
    addr: SocketAddr,
    server: ServerHandle,
    ended: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    _pushing: DropGuard,
}

impl Simulator {
    /// Starts listening. Call this function within a tokio runtime.
    ///
    /// # Errors
    /// The configuration is wrong, or the simulator cannot listen on the address.
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        let listen = config.listen;
        let unlistenable = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).map_err(unlistenable)?;
        let addr = listener.local_addr().map_err(unlistenable)?;
        let pushing = CancellationToken::new();
        let pusher = Pusher::start(pushing.clone())?;
        let pushing = pushing.drop_guard();
        let state = Arc::new(State::new(config, pusher, format!("http://{addr}")));

        let data = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(PayloadConfig::new(api::MAX_BODY))
                .app_data(JsonConfig::default().limit(api::MAX_BODY).error_handler(control::unreadable))
                .app_data(QueryConfig::default().error_handler(control::unreadable))
                .route("/", web::get().to(control::chat_page))
                .service(web::scope("/simulator").configure(control::configure))
                .default_service(web::to(api::serve))
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
        Ok(Self { state, addr, server: handle, ended, _pushing: pushing })
    }

    /// The address that the simulator listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening and waits for the simulator's end, at most a few seconds.
    pub async fn shutdown(mut self) {
        self.state.stopping.cancel();
        self.server.stop(true).await;
        if let Some(ended) = self.ended.take() {
            // The server already has the order to end, so its result changes nothing any more.
            ended.await.ok();
        }
    }
}

impl Deref for Simulator {
    type Target = Arc<State>;

    fn deref(&self) -> &Arc<State> {
        &self.state
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.state.stopping.cancel();
        if self.ended.is_some() {
            // `stop` sends its command at once; only its completion would need an await.
            drop(self.server.stop(false));
        }
    }
}
