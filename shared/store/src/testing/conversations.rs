//! Conversations in memory.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use tokio::time::Instant;

use super::MemoryStore;
use crate::{Conversations, Exchange, StoreError};

/// An exchange of a conversation, until its end.
pub(super) struct Remembered {
    key: MessageKey,
    exchange: Exchange,
    end: Instant,
}

#[async_trait]
impl Conversations for MemoryStore {
    async fn recall(&self, whose: &SessionKey) -> Result<Vec<Exchange>, StoreError> {
        self.up()?;
        let (conversations, now) = (self.conversations.lock().unwrap(), Instant::now());
        let found = conversations.get(whose).into_iter().flatten();
        Ok(found.filter(|found| found.end > now).map(|found| found.exchange.clone()).collect())
    }

    async fn remember(
        &self,
        whose: &SessionKey,
        key: &MessageKey,
        exchange: &Exchange,
        most: usize,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.up()?;
        let (mut conversations, now) = (self.conversations.lock().unwrap(), Instant::now());
        let conversation = conversations.entry(whose.clone()).or_default();
        conversation.retain(|known| known.end > now);
        if conversation.iter().all(|known| known.key != *key) {
            conversation.push(Remembered { key: key.clone(), exchange: exchange.clone(), end: now + keep_for });
        }
        conversation.drain(..conversation.len().saturating_sub(most.max(1)));
        Ok(())
    }
}
