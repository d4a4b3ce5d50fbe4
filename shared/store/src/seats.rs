//! The seam to the workers' seats.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::seat::Seat;

use super::StoreError;

/// The seats of the workers that share one queue.
///
/// A worker's seat says which partitions it wants first, so that workers have equally many without talking to each
/// other. Nothing but that depends on it: a seat that two workers have only makes their shares unequal.
#[async_trait]
pub trait Seats: Send + Sync {
    /// The seat of `worker` until `keep_for` from now: the one that it has, else the lowest from `wish` on that no other worker
    /// has. A worker wishes for the seat that it had, in case the store has forgotten that, or 0.
    async fn take(&self, worker: &str, wish: Seat, keep_for: Duration) -> Result<Seat, StoreError>;
    /// Gives the seat of `worker` back, if it has one.
    async fn leave(&self, worker: &str) -> Result<(), StoreError>;
}
