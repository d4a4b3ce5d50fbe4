//! ingress: HTTP request -> verified -> decrypted -> parsed -> claimed -> published -> `success`, or what a rule or the
//! event wants in its place. A push that is WeChat's and cannot be read is published as it is.
//!
//! Beside the pushes it takes messages of a team's own backend, on the internal server: [`Api`].
//!
//! It answers only after the push is stored, never calls WeChat, and answers within [`ANSWER_WITHIN`].

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
mod query;
mod refusal;
mod routes;
mod server;
mod sync_webhook;
mod unreadable;
mod verify;

pub use api::Api;
pub use decision::Decision;
pub use intake::PUSH_REMEMBERED_FOR;
pub use server::{Ingress, IngressError};
pub use unreadable::keeps_unreadable;

/// WeChat waits 5 s, then sends the push again; the rest is for the way back.
///
/// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html>.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(4_500);

/// What ingress stands on.
#[derive(Clone)]
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// State; of it the claims and the messages.
    pub stores: Stores,
    /// Where pushes go. [`Ingress::run`] closes it.
    pub publisher: Arc<dyn Publisher>,
    /// What the process's internal server has of it; [`Ingress::bind`] opens it.
    pub api: Api,
    /// Where the checks for `/readyz` are added.
    pub readiness: Readiness,
    /// Starts the shutdown.
    pub shutdown: CancellationToken,
}
