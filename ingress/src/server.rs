//! The public HTTP server.

use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{Service as _, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::{App, web};
use futures_util::FutureExt;
use kefu_program::internal::slashes;
use kefu_runtime::{Cause, lifecycle};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

use crate::body::Bodies;
use crate::connection::Connection;
use crate::decision::UndecidedEvents;
use crate::freshness::ClockWarning;
use crate::intake::Intake;
use crate::routes::{self, Callback};
use crate::sync_webhook::SyncWebhooks;
use crate::unreadable::UnreadablePushes;
use crate::{ANSWER_WITHIN, Api, Parts, metric};

/// How long a connection may stay open between two requests. Proxies keep their connections for up to a minute, and a
/// proxy does not send a push again when its connection ends under that push.
const IDLE_FOR: Duration = Duration::from_secs(75);
/// How long a client may take for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long the server reads and discards the rest of a refused request, so that the client still gets the answer.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// How many connections may wait for the server to accept them. The system may allow fewer.
const BACKLOG: u32 = 1_024;

/// How many bytes of answers the system may hold for a client, which is some hundred answers. By default the system
/// would hold megabytes.
const UNREAD_ANSWERS: u32 = 64 * 1_024;

/// How many other files the process has open: queue, store, files, the internal server's connections.
const OTHER_FILES: u64 = 128;

/// Ingress, bound to its address and not yet running.
pub struct Ingress {
    server: Server,
    addresses: Vec<SocketAddr>,
    intake: Arc<Intake>,
    api: Api,
    grace: Duration,
}

/// Why ingress cannot run.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// The public address cannot be bound.
    #[error("[ingress] listen = \"{address}\" cannot be bound: {source}")]
    Bind {
        /// The address in the configuration.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The HTTP client for webhooks could not be built.
    #[error(transparent)]
    Client(Cause),
    /// The server failed while it ran.
    #[error("the HTTP server failed: {0}")]
    Server(#[from] io::Error),
}

fn warn_of_few_files(max_connections: u64) {
    let Some(limit) = lifecycle::open_files_limit() else { return };
    let needed = max_connections.saturating_add(OTHER_FILES);
    if needed > limit {
        tracing::warn!(
            "[ingress] max_connections = {max_connections} needs {needed} open files and the process may have {limit}: \
             raise its limit (ulimit -n, LimitNOFILE, ulimits) or lower max_connections"
        );
    }
}

/// Listens at the address. The accepted connections inherit the socket's settings.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(UNREAD_ANSWERS)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

impl Ingress {
    /// Binds the public address and adds the readiness checks. The queue is required. Without the store, ingress goes
    /// on and is degraded (the ledger drops the copies). Call this function within a tokio runtime.
    pub fn bind(parts: Parts) -> Result<Self, IngressError> {
        let Parts { config, stores, publisher, api, readiness, shutdown } = parts;
        metric::describe();
        let queue = publisher.clone();
        readiness.add("ingress_queue", true, move || ready(queue.health()).boxed());
        readiness.add_store("ingress_store", false, stores.probe.clone());
        let rules = config.rules.clone();
        readiness.add("ingress_rules", false, move || ready(rules.health()).boxed());

        let intake = Arc::new(Intake::new(stores.claims, publisher.clone()));
        api.open(config.clone(), stores.messages, intake.clone(), shutdown.clone());
        let settings = config.ingress.clone();
        let callback = web::Data::new(Callback {
            bodies: Bodies::new(settings.max_body_bytes, settings.max_buffered_bytes),
            sync_webhooks: SyncWebhooks::new(&config.webhook).map_err(IngressError::Client)?,
            config,
            undecided_events: UndecidedEvents::default(),
            unreadable: UnreadablePushes::default(),
            clock_warning: ClockWarning::default(),
        });
        warn_of_few_files(settings.max_connections as u64);
        let cannot_bind = |source| IngressError::Bind { address: settings.listen, source };
        let listener = listen(settings.listen).map_err(cannot_bind)?;
        let addresses = vec![listener.local_addr().map_err(cannot_bind)?];
        let threads = settings.threads;
        let local_intakes = TaskTracker::new();
        let closed = local_intakes.clone();
        let is_shut_down = shutdown.clone();
        let server = Server::build()
            .workers(threads)
            // actix counts connections for each thread.
            .max_concurrent_connections(settings.max_connections.div_ceil(threads))
            .shutdown_signal(async move {
                is_shut_down.cancelled().await;
                closed.close();
                closed.wait().await;
            })
            .shutdown_timeout(settings.grace.as_secs().max(1));
        let draining = server.graceful_shutdown_signal();
        // actix-web's own server does the same, except for the type of the connections.
        let shared_intake = intake.clone();
        let server = server.listen("public", listener, move || {
            let draining = draining.clone();
            // This function runs once on each thread of the server.
            let local = web::Data::new(intake.local());
            let (closing, shutdown) = (local.clone(), shutdown.clone());
            local_intakes.spawn(async move {
                shutdown.cancelled().await;
                closing.close(ANSWER_WITHIN).await;
            });
            let app = App::new().app_data(callback.clone()).app_data(local).configure(routes::configure).wrap_fn(
                |mut request, routes| {
                    slashes::merge(&mut request);
                    routes.call(request)
                },
            );
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let draining = draining.clone();
                    async move { draining.notified().await }
                })
                .keep_alive(IDLE_FOR)
                .client_request_timeout(HEAD_WITHIN)
                .client_disconnect_timeout(CLOSE_WITHIN)
                .on_connect_ext(|connection: &Connection, data| {
                    data.insert(connection.reading());
                })
                .h1(map_config(app, |_| AppConfig::default()));
            fn_service(|stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                async move { Ok((Connection::new(stream), peer)) }
            })
            .and_then(http)
        })?;
        for address in &addresses {
            tracing::info!(role = "public", %address, "listening");
        }
        Ok(Self { server: server.run(), addresses, intake: shared_intake, api, grace: settings.grace })
    }

    /// The bound addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until the shutdown. Then it accepts no more requests, finishes the running requests within the grace
    /// time, and closes the publisher.
    pub async fn run(self) -> Result<(), IngressError> {
        let result = self.server.await;
        self.api.close(self.grace).await;
        self.intake.close(self.grace).await;
        tracing::info!("stopped");
        Ok(result?)
    }
}
