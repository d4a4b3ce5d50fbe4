//! Conversations in memory, which never expire.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use kefu_store::{Conversations, Exchange, StoreError};

use super::MemoryStore;

#[async_trait]
impl Conversations for MemoryStore {
    async fn recall(&self, whose: &SessionKey) -> Result<Vec<Exchange>, StoreError> {
        self.up()?;
        let conversations = self.conversations.lock().unwrap();
        let found = conversations.get(whose);
        Ok(found.into_iter().flatten().map(|(_, exchange)| exchange.clone()).collect())
    }

    async fn remember(
        &self,
        whose: &SessionKey,
        key: &MessageKey,
        exchange: &Exchange,
        most: usize,
        _keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.up()?;
        let mut conversations = self.conversations.lock().unwrap();
        let conversation = conversations.entry(whose.clone()).or_default();
        if conversation.iter().all(|(known, _)| known != key) {
            conversation.push((key.clone(), exchange.clone()));
        }
        conversation.drain(..conversation.len().saturating_sub(most));
        Ok(())
    }
}
