//! The seam to the workers' seats.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::partition::Seat;

use super::StoreError;

/// The seats of the workers that share one queue.
///
/// A worker's seat says which partitions the worker wants first, so that all workers have equally many without talking to
/// each other. Nothing else depends on the seat: if two workers have the same seat, only their shares are unequal.
#[async_trait]
pub trait Seats: Send + Sync {
    /// The seat of `worker` until `keep_for` from now: the seat that the worker has, else the lowest seat from `wish` on
    /// that no other worker has. A worker wishes for its previous seat, in case the store has forgotten that seat, or for
    /// 0.
    async fn take(&self, worker: &str, wish: Seat, keep_for: Duration) -> Result<Seat, StoreError>;
    /// Gives the seat of `worker` back, if the worker has a seat.
    async fn leave(&self, worker: &str) -> Result<(), StoreError>;
}
