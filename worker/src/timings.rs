//! The waits of a worker, together.

use std::time::Duration;

use kefu_messages::message_key::LEDGER_KEEPS_FOR;
use kefu_queue::RETRY_DELAYS;

/// How long a worker waits for what. The defaults are meant for everybody; tests shorten them.
#[derive(Debug, Clone)]
pub(crate) struct Timings {
    /// The most that is waited before the first retry in the lane; it doubles with each retry.
    pub(crate) retry_first: Duration,
    /// What that doubling stops at.
    pub(crate) retry_longest: Duration,
    /// How long a message may be retried in its lane, from its first failure on. The user's next messages wait.
    pub(crate) retry_total: Duration,
    /// The waits before the message comes back from the queue, by how often it did; after them it is a dead letter.
    pub(crate) retry_delays: [Duration; 5],
    /// The wait before a request is sent again to which no answer came.
    pub(crate) unanswered: Duration,
    /// The wait before a send is repeated whose access_token was refused.
    pub(crate) token_refused: Duration,
    /// How long work that an answer waits for takes before the user sees somebody typing.
    pub(crate) typing_after: Duration,
    /// The wait before that is shown again: it lasts for 15 s, and WeChat refuses it sooner (45081).
    pub(crate) typing_again: Duration,
    /// How much longer than one call's time limit a ledger lease lasts.
    pub(crate) lease_margin: Duration,
    /// How often a message that another worker has is asked for.
    pub(crate) lease_poll: Duration,
    /// How long the ledger remembers a message.
    pub(crate) keep_for: Duration,
    /// How often a store that is down is tried.
    pub(crate) store_poll: Duration,
    /// How often the state that `/readyz` and the gauges show is brought up to date.
    pub(crate) state_poll: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_secs(1),
            retry_longest: Duration::from_secs(30),
            retry_total: Duration::from_secs(60),
            retry_delays: RETRY_DELAYS,
            unanswered: Duration::from_secs(5),
            token_refused: Duration::from_millis(200),
            typing_after: Duration::from_secs(1),
            typing_again: Duration::from_millis(15_200),
            lease_margin: Duration::from_secs(5),
            lease_poll: Duration::from_millis(500),
            keep_for: LEDGER_KEEPS_FOR,
            store_poll: Duration::from_millis(500),
            state_poll: Duration::from_secs(1),
        }
    }
}
