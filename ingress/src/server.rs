//! The public HTTP server.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use futures_util::FutureExt;
use kefu_shared::health::Health;
use kefu_shared::queue::Publisher;

use crate::intake::Intake;
use crate::routes::{self, Callback};
use crate::{Parts, measures};

/// How long a client may take for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// A bound, not yet running ingress.
pub struct Ingress {
    server: Server,
    addresses: Vec<SocketAddr>,
    publisher: std::sync::Arc<dyn Publisher>,
    grace: Duration,
}

/// Why ingress cannot run.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// The public address cannot be had.
    #[error("[ingress] listen = \"{address}\" cannot be bound: {source}")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the HTTP server failed: {0}")]
    Server(#[from] std::io::Error),
}

impl Ingress {
    /// Binds the public address and adds the checks of readiness: the queue is required; without the store, ingress goes
    /// on (the ledger drops the copies) and is degraded.
    pub fn bind(parts: Parts) -> Result<Self, IngressError> {
        let Parts { config, stores, publisher, readiness, shutdown } = parts;
        measures::describe();
        let queue = publisher.clone();
        readiness.add("ingress_queue", true, move || {
            let health = queue.health();
            async move { health }.boxed()
        });
        let probe = stores.probe.clone();
        readiness.add("ingress_store", false, move || {
            let probe = probe.clone();
            async move { probe.probe().await.map_or_else(|error| Health::Down(error.to_string()), |()| Health::Up) }
                .boxed()
        });

        let settings = config.ingress.clone();
        let callback = web::Data::new(Callback {
            intake: Intake::new(stores.claims, publisher.clone()),
            max_body_bytes: settings.max_body_bytes,
            config,
        });
        // actix counts connections by thread.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let server = HttpServer::new(move || App::new().app_data(callback.clone()).configure(routes::configure))
            .workers(threads)
            .max_connections(settings.max_connections.div_ceil(threads))
            .client_request_timeout(HEAD_WITHIN)
            .shutdown_signal(shutdown.cancelled_owned())
            .shutdown_timeout(settings.grace.as_secs().max(1))
            .bind(settings.listen)
            .map_err(|source| IngressError::Bind { address: settings.listen, source })?;
        let addresses = server.addrs();
        for address in &addresses {
            tracing::info!(role = "public", %address, "listening");
        }
        Ok(Self { server: server.run(), addresses, publisher, grace: settings.grace })
    }

    /// The bound addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until the shutdown; then takes no more, finishes what is under way within the grace time, and closes the
    /// publisher.
    pub async fn run(self) -> Result<(), IngressError> {
        let result = self.server.await;
        self.publisher.close(self.grace).await;
        Ok(result?)
    }
}
