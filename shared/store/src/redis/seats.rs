//! The seats of workers: one hash, with the seat of each worker and the time until which it has that seat.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::partition::Seat;

use super::connection::Connection;
use super::script::Script;
use super::{Redis, millis};
use crate::{Seats, StoreError};

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

/// How many seats are taken at `now_ms` of the server's own clock; `None` when the server does not say.
pub(super) async fn taken(connection: &Connection, now_ms: u64) -> Option<usize> {
    let entries = connection.query::<HashMap<String, String>>(redis::cmd("HGETALL").arg(NAME)).await.ok()?;
    Some(entries.values().filter(|entry| ends_ms(entry).is_some_and(|ends_ms| ends_ms > now_ms)).count())
}

/// The end of a seat, from `SEAT UNTIL_MS` as `seat_take.lua` writes it.
fn ends_ms(entry: &str) -> Option<u64> {
    entry.split_once(' ')?.1.parse().ok()
}
