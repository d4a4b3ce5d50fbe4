//! Outages of the store. The worker sends nothing without the ledger, so the lanes wait during an outage.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kefu_store::StoreError;

use crate::metric;
use crate::outcome::{Interrupt, Outcome};

/// Knows whether the store is down, and logs each outage once.
#[derive(Debug)]
pub(crate) struct StoreOutage {
    down: AtomicBool,
    poll: Duration,
}

impl StoreOutage {
    /// `poll`: the interval at which a store that is down is tried.
    pub(crate) fn new(poll: Duration) -> Self {
        Self { down: AtomicBool::new(false), poll }
    }

    /// Repeats the call until the store answers. The seams allow a repetition of every call.
    pub(crate) async fn outlast<T, F>(&self, interrupt: &Interrupt, mut call: impl FnMut() -> F) -> Result<T, Outcome>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match call().await {
                Ok(value) => {
                    self.over();
                    return Ok(value);
                }
                Err(error) => self.sit_out(interrupt, &error).await?,
            }
        }
    }

    /// Waits a moment because of `error`. An error that does not pass ends the attempt.
    pub(crate) async fn sit_out(&self, interrupt: &Interrupt, error: &StoreError) -> Result<(), Outcome> {
        if !error.class().passes() {
            return Err(Outcome::retry(error.to_string()));
        }
        self.noticed(error);
        // Full jitter would sometimes flood the store; half the jitter spreads the lanes and keeps the pace.
        let wait = rand::random_range(self.poll / 2..=self.poll);
        interrupt.or(tokio::time::sleep(wait)).await
    }

    fn noticed(&self, error: &StoreError) {
        if !self.down.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "nothing is sent until the store is back");
            metrics::counter!(metric::STORE_OUTAGES).increment(1);
        }
    }

    fn over(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("the store is back");
        }
    }
}
