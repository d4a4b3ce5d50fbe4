//! ingress: HTTP request -> verified -> decrypted -> parsed -> claimed -> published -> answer. The answer is `success`,
//! or what a rule or the event demands instead. Ingress also publishes a push that is authentic and unreadable, as raw
//! bytes.
//!
//! Ingress also takes messages from a team's own backend, on the internal server: [`Api`].
//!
//! Ingress answers only after the push is stored, never calls WeChat, and answers within [`ANSWER_WITHIN`].

use std::sync::Arc;
use std::time::Duration;

use kefu_program::config::Config;
use kefu_program::internal::Readiness;
use kefu_queue::Publisher;
use kefu_store::Stores;
use tokio_util::sync::CancellationToken;

mod answer;
mod api;
mod body;
mod connection;
mod decision;
mod freshness;
mod intake;
mod metric;
mod refusal;
mod routes;
mod server;
mod sync_webhook;
mod unreadable;
mod verify;

pub use api::Api;
pub use decision::Decision;
pub use freshness::PUSH_REMEMBERED_FOR;
pub use server::{Ingress, IngressError};
pub use unreadable::{PLAIN_KEPT_PER_MINUTE, keeps_unreadable};

/// WeChat waits 5 s for an answer, then sends the push again. The remaining half second covers the answer's way back.
///
/// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html>.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(4_500);

/// The parts that ingress is built from.
#[derive(Clone)]
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The state. Ingress uses the claims and the messages of it.
    pub stores: Stores,
    /// Ingress publishes pushes here. [`Ingress::run`] closes the publisher.
    pub publisher: Arc<dyn Publisher>,
    /// `/v1`, which the process's internal server serves. [`Ingress::bind`] opens it.
    pub api: Api,
    /// Ingress adds its checks for `/readyz` here.
    pub readiness: Readiness,
    /// Cancelling this token starts the shutdown.
    pub shutdown: CancellationToken,
}
