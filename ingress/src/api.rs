//! `/v1`: a team's own backend sends messages here, on the process's internal server.
//!
//! ```text
//! POST /v1/accounts/{appid}/messages   key -> account -> body -> judged if new -> open -> claim, publish, complete
//!                                      -> queued -> 202
//! GET  /v1/messages/{id}               key -> queued, dead or sent
//! GET  /v1/openapi.json                the OpenAPI document, for programs
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

const MESSAGES: &str = "/v1/accounts/{appid}/messages";
const MESSAGE: &str = "/v1/messages/{id}";
const DOCUMENT: &str = "/v1/openapi.json";

/// `/v1` for the internal server of a process. All clones share one state. The value exists before ingress runs: until
/// [`Ingress::bind`](crate::Ingress::bind) opens it, `/v1` answers that it is not ready. Without `[api]` in the
/// configuration the opened value has no service, and `/v1` does not exist.
#[derive(Clone, Default)]
pub struct Api(Arc<OnceLock<Option<Service>>>);

/// `/v1` of a configuration with `[api]`.
pub(crate) struct Service {
    keys: config::Api,
    config: Arc<Config>,
    outbound: OutboundMessages,
    /// The disk with the pictures that backends name.
    disk: Disk,
    shutdown: CancellationToken,
    under_way: TaskTracker,
}

impl Api {
    /// The HTTP resources of `/v1`.
    pub fn routes(&self) -> Routes {
        let api = self.clone();
        Routes::new(move |service| {
            routes::configure(service, &api);
            document::configure(service);
        })
    }

    /// Opens `/v1`. Only the first call has an effect.
    pub(crate) fn open(
        &self,
        config: Arc<Config>,
        messages: Arc<dyn Messages>,
        intake: Arc<Intake>,
        shutdown: CancellationToken,
    ) {
        let outbound = OutboundMessages::new(messages, intake);
        self.0.get_or_init(|| {
            let keys = config.api.clone()?;
            Some(Service { keys, config, outbound, disk: Disk::default(), shutdown, under_way: TaskTracker::new() })
        });
    }

    /// Waits for the running requests, for `within` at most. Call this function after the shutdown has begun: from then
    /// on `/v1` accepts no request.
    pub(crate) async fn close(&self, within: Duration) {
        if let Some(service) = self.opened() {
            service.under_way.close();
            if tokio::time::timeout(within, service.under_way.wait()).await.is_err() {
                tracing::warn!("the time for the shutdown is over: kefu cuts off the running requests of backends");
            }
        }
    }

    fn opened(&self) -> Option<&Service> {
        self.0.get()?.as_ref()
    }
}
