//! The absent messages of each user in memory.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::UserKey;
use tokio::time::Instant;

use super::MemoryStore;
use crate::{MOST_ABSENT, Order, Place, StoreError};

#[derive(Debug, Clone)]
pub(super) struct Absent {
    message: MessageKey,
    /// When work on the message first began, and how old that was when the message left.
    left: Instant,
    begun_ago: Duration,
}

impl Absent {
    fn begun_ago(&self) -> Duration {
        self.left.elapsed() + self.begun_ago
    }
}

#[async_trait]
impl Order for MemoryStore {
    async fn place(&self, user: &UserKey, message: &MessageKey) -> Result<Place, StoreError> {
        self.up()?;
        let absent = self.order.get(user).unwrap_or_default();
        let own = absent.iter().position(|absent| absent.message == *message);
        let earlier = absent[..own.unwrap_or(absent.len())].last();
        Ok(Place { has_left: own.is_some(), earlier_begun_ago: earlier.map(Absent::begun_ago) })
    }

    async fn leave(
        &self,
        user: &UserKey,
        message: &MessageKey,
        begun_ago: Duration,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.up()?;
        self.order.change(user, |absent| {
            let mut absent = absent.unwrap_or_default();
            absent.retain(|absent| absent.begun_ago() < keep_for);
            if absent.len() < MOST_ABSENT && absent.iter().all(|absent| absent.message != *message) {
                absent.push(Absent { message: message.clone(), left: Instant::now(), begun_ago });
            }
            (Some(absent), Some(keep_for), ())
        });
        Ok(())
    }

    async fn end(&self, user: &UserKey, message: &MessageKey) -> Result<(), StoreError> {
        self.up()?;
        self.order.change(user, |absent| {
            let mut absent = absent.unwrap_or_default();
            absent.retain(|absent| absent.message != *message);
            (Some(absent).filter(|absent| !absent.is_empty()), None, ())
        });
        Ok(())
    }
}
