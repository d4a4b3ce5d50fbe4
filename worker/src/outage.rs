//! Outages of the store. The worker sends nothing without the ledger, so the lanes wait during an outage.

use std::time::Duration;

use kefu_runtime::in_words;
use kefu_runtime::standing::Standing;
use kefu_store::StoreError;

use crate::metric;
use crate::outcome::{Interrupt, Outcome};

/// The interval at which the worker tries a store that is down.
const TRIED_EVERY: Duration = Duration::from_millis(500);

/// Knows whether the store is down, and logs each outage once.
#[derive(Debug)]
pub(crate) struct StoreOutage {
    standing: Standing,
}

impl StoreOutage {
    pub(crate) fn new() -> Self {
        Self { standing: Standing::new(Duration::ZERO) }
    }

    /// Repeats the call until the store answers. The seams allow a repetition of every call.
    pub(crate) async fn outlast<T, F>(&self, interrupt: &Interrupt, mut call: impl FnMut() -> F) -> Result<T, Outcome>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match call().await {
                Ok(value) => {
                    if self.standing.succeeded().is_some() {
                        tracing::info!("the store answers again: the worker sends replies again");
                    }
                    return Ok(value);
                }
                Err(error) => self.sit_out(interrupt, &error).await?,
            }
        }
    }

    /// Waits a moment because of `error`. An error that does not pass ends the attempt.
    pub(crate) async fn sit_out(&self, interrupt: &Interrupt, error: &StoreError) -> Result<(), Outcome> {
        if !error.class().passes() {
            return Err(Outcome::retry(in_words(error)));
        }
        let error = in_words(error);
        if self.standing.failed((), error.clone()) {
            tracing::error!(%error, "the store is unavailable: the worker sends nothing until the store answers");
            metrics::counter!(metric::STORE_OUTAGES).increment(1);
        }
        // Full jitter would sometimes flood the store; half the jitter spreads the lanes and keeps the pace.
        let wait = rand::random_range(TRIED_EVERY / 2..=TRIED_EVERY);
        interrupt.or(tokio::time::sleep(wait)).await
    }
}
