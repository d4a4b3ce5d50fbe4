//! The messages of a user that are absent from their lane.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::UserKey;
use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use super::{EmbeddedStore, StoreError};
use crate::database::Table;
use crate::millis;
use kefu_store::{MOST_ABSENT, Order, Place};

const ORDER: Shelf<Vec<Absent>> = Shelf::new(Table::ORDER);

#[derive(Serialize, Deserialize)]
struct Absent {
    message: MessageKey,
    /// When work on the message first began.
    begun_ms: u64,
}

#[async_trait]
impl Order for EmbeddedStore {
    async fn place(&self, user: &UserKey, message: &MessageKey) -> Result<Place, StoreError> {
        let (user, message) = (user.as_str().to_owned(), message.clone());
        let work = move |transaction: &_, now_ms: u64| {
            let Some((absent, _)) = ORDER.get(transaction, &user, now_ms)? else { return Ok(Place::default()) };
            let own = absent.iter().position(|absent| absent.message == message);
            let earlier = absent[..own.unwrap_or(absent.len())].last();
            let earlier_begun_ago =
                earlier.map(|earlier| Duration::from_millis(now_ms.saturating_sub(earlier.begun_ms)));
            Ok(Place { has_left: own.is_some(), earlier_begun_ago })
        };
        self.read(work).await
    }

    async fn leave(
        &self,
        user: &UserKey,
        message: &MessageKey,
        begun_ago: Duration,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        let (user, message, keep_ms) = (user.as_str().to_owned(), message.clone(), millis(keep_for));
        let work = move |transaction: &_, now_ms: u64| {
            let mut absent = ORDER.get(transaction, &user, now_ms)?.map(|(absent, _)| absent).unwrap_or_default();
            absent.retain(|absent| absent.begun_ms.saturating_add(keep_ms) > now_ms);
            if absent.len() < MOST_ABSENT && absent.iter().all(|absent| absent.message != message) {
                absent.push(Absent { message, begun_ms: now_ms.saturating_sub(millis(begun_ago)) });
            }
            ORDER.put(transaction, &user, &absent, now_ms.saturating_add(keep_ms))
        };
        self.change(work).await
    }

    async fn end(&self, user: &UserKey, message: &MessageKey) -> Result<(), StoreError> {
        let (user, message) = (user.as_str().to_owned(), message.clone());
        let work = move |transaction: &_, now_ms: u64| {
            let Some((mut absent, end_ms)) = ORDER.get(transaction, &user, now_ms)? else { return Ok(()) };
            absent.retain(|absent| absent.message != message);
            match absent.is_empty() {
                true => ORDER.remove(transaction, &user),
                false => ORDER.put(transaction, &user, &absent, end_ms),
            }
        };
        self.change(work).await
    }
}
