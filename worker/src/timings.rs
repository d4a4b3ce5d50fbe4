//! All waits of a worker.

use std::time::Duration;

use kefu_messages::message_key::LEDGER_KEEPS_FOR;
use kefu_queue::RETRY_DELAYS;

/// The lengths of a worker's waits. The defaults are meant for everybody; tests shorten them.
#[derive(Debug, Clone)]
pub(crate) struct Timings {
    /// The longest wait before the first retry in the lane; this bound doubles with each retry.
    pub(crate) retry_first: Duration,
    /// The value at which the bound stops doubling.
    pub(crate) retry_longest: Duration,
    /// How long a message may be retried in its lane, from its first failure on. The user's next messages wait
    /// meanwhile.
    pub(crate) retry_total: Duration,
    /// The waits in the retry queues, by the number of earlier returns to the queue; after the last one the message is
    /// a dead letter.
    pub(crate) retry_delays: [Duration; 5],
    /// The wait before the worker repeats a request that got no answer.
    pub(crate) unanswered: Duration,
    /// The wait before the worker repeats a send whose access_token WeChat refused.
    pub(crate) token_refused: Duration,
    /// How long the user waits for an answer before WeChat shows somebody typing.
    pub(crate) typing_after: Duration,
    /// The wait before the worker shows typing again. WeChat shows typing for 15 s, and refuses a repetition before
    /// that (45081).
    pub(crate) typing_again: Duration,
    /// How much longer a ledger lease lasts than the time limit of one call.
    pub(crate) lease_margin: Duration,
    /// The interval at which the worker asks the ledger for a message that another worker holds.
    pub(crate) lease_poll: Duration,
    /// How long the ledger remembers a message.
    pub(crate) keep_for: Duration,
    /// The interval at which the worker tries a store that is down.
    pub(crate) store_poll: Duration,
    /// The interval at which the worker updates the state that `/readyz` and the gauges show.
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
