//! `/v1`: sending from a team's own backend, on the process's internal server.
//!
//! ```text
//! POST /v1/accounts/{appid}/messages   key -> account -> body -> judged if new -> open -> claim, publish, complete
//!                                      -> queued -> 202
//! GET  /v1/messages/{id}               key -> queued, dead or sent
//! GET  /v1/openapi.json                what this is, for programs
//! ```

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kefu_program::config::{self, Config};
use kefu_program::internal::Routes;
use kefu_runtime::disk::Disk;
use kefu_store::Messages;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::intake::Intake;

mod document;
mod head;
mod outbound;
mod problem;
mod request;
mod routes;
mod shapes;

use outbound::OutboundMessages;

/// What the internal server of a process has of ingress. Clones are the same one. It is there before ingress is: until
/// [`Ingress::bind`](crate::Ingress::bind) opens it, it answers that it is not ready.
#[derive(Clone, Default)]
pub struct Api(Arc<OnceLock<Option<Service>>>);

/// `/v1` of a configuration with `[api]`.
pub(crate) struct Service {
    keys: config::Api,
    config: Arc<Config>,
    outbound: OutboundMessages,
    /// With the pictures that backends name.
    disk: Disk,
    shutdown: CancellationToken,
    under_way: TaskTracker,
}

/// How far it is.
enum Stage<'a> {
    Starting,
    /// There is no `/v1`.
    Off,
    InService(&'a Service),
}

impl Api {
    /// Its resources.
    pub fn routes(&self) -> Routes {
        let api = self.clone();
        Routes::new(move |service| routes::configure(service, &api))
    }

    /// Puts it to work, once.
    pub(crate) fn open(
        &self,
        config: Arc<Config>,
        messages: Arc<dyn Messages>,
        intake: Intake,
        shutdown: CancellationToken,
    ) {
        let outbound = OutboundMessages::new(messages, intake);
        self.0.get_or_init(|| {
            let keys = config.api.clone()?;
            Some(Service { keys, config, outbound, disk: Disk::default(), shutdown, under_way: TaskTracker::new() })
        });
    }

    /// Waits for the requests that are under way, for `within` at most. To be called after the shutdown has begun, from
    /// which on none is taken.
    pub(crate) async fn close(&self, within: Duration) {
        if let Stage::InService(service) = self.stage() {
            service.under_way.close();
            if tokio::time::timeout(within, service.under_way.wait()).await.is_err() {
                tracing::warn!("the time for the shutdown is over: requests of a backend are cut off");
            }
        }
    }

    fn stage(&self) -> Stage<'_> {
        match self.0.get() {
            None => Stage::Starting,
            Some(None) => Stage::Off,
            Some(Some(service)) => Stage::InService(service),
        }
    }
}
