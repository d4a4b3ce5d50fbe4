//! The seats of workers: one hash, with the seat of each worker and the time until which it has that seat.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::{Redis, millis};
use crate::store::{Seat, Seats, StoreError};

static TAKE: LazyLock<Script> = script!("now.lua", "seat_take.lua");

const NAME: &str = "kefu:seats";

#[async_trait]
impl Seats for Redis {
    async fn take(&self, worker: &str, wish: Seat, keep_for: Duration) -> Result<Seat, StoreError> {
        self.connection.invoke(TAKE.key(NAME).arg(worker).arg(millis(keep_for)).arg(wish)).await
    }

    async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        self.connection.query(redis::cmd("HDEL").arg(NAME).arg(worker)).await
    }
}
