//! Whether the database works, for `/readyz` and the log.

use std::time::{Duration, Instant};

use kefu_runtime::health::Health;
use parking_lot::Mutex;
use tracing::{error, info};

use super::error::DatabaseError;

/// How long a failure counts without a later write. While the failure counts, callers may not write, so the failure must
/// lapse.
const COUNTS_FOR: Duration = Duration::from_secs(5);

/// How often a lasting failure is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Outage(Mutex<Option<Failure>>);

struct Failure {
    error: DatabaseError,
    last: Instant,
    logged: Instant,
    unopened: bool,
}

impl Outage {
    /// A write failed, or (`unopened`) the file could not even be opened again.
    pub(super) fn failed(&self, error: DatabaseError, unopened: bool) {
        let now = Instant::now();
        let mut failure = self.0.lock();
        let logged = failure.as_ref().map(|failure| failure.logged);
        let due = logged.is_none_or(|logged| now.duration_since(logged) >= LOG_EVERY);
        if due {
            error!(%error, unopened, "the database cannot be written");
        }
        *failure = Some(Failure { error, last: now, logged: logged.filter(|_| !due).unwrap_or(now), unopened });
    }

    pub(super) fn reopened(&self) {
        if let Some(failure) = &mut *self.0.lock() {
            failure.unopened = false;
        }
    }

    pub(super) fn committed(&self) {
        if self.0.lock().take().is_some() {
            info!("the database works again");
        }
    }

    /// Why the file is not open.
    pub(super) fn why_closed(&self) -> DatabaseError {
        let failure = self.0.lock();
        failure.as_ref().map_or(DatabaseError::Closed, |failure| failure.error.clone())
    }

    pub(super) fn health(&self) -> Health {
        match &*self.0.lock() {
            Some(failure) if failure.unopened || failure.last.elapsed() < COUNTS_FOR => {
                Health::Down(failure.error.to_string())
            }
            _ => Health::Up,
        }
    }
}
