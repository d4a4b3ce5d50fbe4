//! The worker's seat among the workers that share the queue. The seat decides which partitions the worker gets first.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::partition::Seat;
use kefu_runtime::in_words;
use kefu_store::Seats;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(test)]
mod tests;

/// How long the store keeps the seat of a worker that died; a successor gets another seat until then.
const KEPT_FOR: Duration = Duration::from_secs(15);

/// The interval at which a worker renews its seat, and how long each renewal waits for the store.
const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// How long a starting worker waits for a store that does not answer before it begins without a seat. Without the store
/// the worker could send nothing anyway.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

const TRIED_EVERY: Duration = Duration::from_millis(200);

/// How long a shutdown waits for the store to take the seat back. After that the seat runs out by itself.
const LEFT_WITHIN: Duration = Duration::from_millis(500);

/// A seat that is renewed until this value is dropped.
pub(crate) struct Seated {
    seats: Arc<dyn Seats>,
    worker: String,
    pub(crate) seat: Seat,
    renewed: DropGuard,
}

impl Seated {
    /// Takes a seat for the worker. `None` when the store gives no seat in time, or the shutdown comes first. A seat
    /// that the store gives too late runs out.
    pub(crate) async fn take(seats: &Arc<dyn Seats>, worker: &str, shutdown: &CancellationToken) -> Option<Self> {
        let mut error = None;
        let tried = async {
            loop {
                match seats.take(worker, 0, KEPT_FOR).await {
                    Ok(seat) => return seat,
                    Err(failed) => error = Some(failed),
                }
                sleep(TRIED_EVERY).await;
            }
        };
        let taken = tokio::select! {
            taken = timeout(TAKEN_WITHIN, tried) => taken.ok(),
            () = shutdown.cancelled() => return None,
        };
        let Some(seat) = taken else {
            let error = error.map_or_else(|| "the store does not answer".to_owned(), |error| in_words(&error));
            tracing::warn!(error, "this worker has no seat: its share of the partitions is left to chance");
            return None;
        };
        let ended = CancellationToken::new();
        tokio::spawn(renew(Arc::clone(seats), worker.to_owned(), seat, ended.clone()));
        Some(Self { seats: Arc::clone(seats), worker: worker.to_owned(), seat, renewed: ended.drop_guard() })
    }

    /// Gives the seat back, so that the worker that replaces this one gets the same seat.
    pub(crate) async fn leave(self) {
        let Self { seats, worker, renewed, .. } = self;
        drop(renewed);
        if !matches!(timeout(LEFT_WITHIN, seats.leave(&worker)).await, Ok(Ok(()))) {
            tracing::debug!("the seat was not given back and runs out");
        }
    }
}

async fn renew(seats: Arc<dyn Seats>, worker: String, seat: Seat, ended: CancellationToken) {
    let mut renewals = interval_at(Instant::now() + RENEWED_EVERY, RENEWED_EVERY);
    renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_lost = false;
    loop {
        let renewed = async {
            renewals.tick().await;
            timeout(RENEWED_EVERY, seats.take(&worker, seat, KEPT_FOR)).await
        };
        let renewed = tokio::select! {
            biased;
            () = ended.cancelled() => return,
            renewed = renewed => renewed,
        };
        match renewed {
            Ok(Ok(now)) if now != seat && !is_lost => {
                is_lost = true;
                tracing::warn!(seat, "another worker has this worker's seat: their shares of the partitions are small");
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the seat was not renewed"),
            Err(_) => tracing::debug!("the seat was not renewed: the store does not answer"),
        }
    }
}
