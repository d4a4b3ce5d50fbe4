//! Outages of the store: nothing is sent without the ledger, so the lanes wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kefu_store::StoreError;

use crate::metric;
use crate::outcome::{Interrupt, Outcome};

/// Knows whether the store is down, and says it once per outage.
#[derive(Debug)]
pub(crate) struct StoreOutage {
    down: AtomicBool,
    poll: Duration,
}

impl StoreOutage {
    /// `poll`: how often a store that is down is tried.
    pub(crate) fn new(poll: Duration) -> Self {
        Self { down: AtomicBool::new(false), poll }
    }

    /// Makes the call until it gets an answer; the seams allow any call to be repeated.
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

    /// Waits a moment because of `error`; an error that does not pass ends the work on the message for now.
    pub(crate) async fn sit_out(&self, interrupt: &Interrupt, error: &StoreError) -> Result<(), Outcome> {
        match error {
            StoreError::Corrupt(_) | StoreError::Url(_) => Err(Outcome::retry(error.to_string())),
            StoreError::Unavailable(_) => {
                self.noticed(error);
                // Full jitter would hammer at times; half keeps the lanes apart and the pace.
                let wait = rand::random_range(self.poll / 2..=self.poll);
                interrupt.or(tokio::time::sleep(wait)).await
            }
        }
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
