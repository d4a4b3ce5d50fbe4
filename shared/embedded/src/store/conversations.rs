//! The conversations of users with the assistant.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use super::{EmbeddedStore, StoreError};
use crate::database::Table;
use crate::millis;
use kefu_store::{Conversations, Exchange};

const TALKS: Shelf<Vec<Entry>> = Shelf::new(Table::CONVERSATIONS);

#[derive(Serialize, Deserialize)]
struct Entry {
    until_ms: u64,
    /// The digest of the message key.
    message: String,
    exchange: Exchange,
}

#[async_trait]
impl Conversations for EmbeddedStore {
    async fn recall(&self, whose: &SessionKey) -> Result<Vec<Exchange>, StoreError> {
        let whose = whose.as_str().to_owned();
        let work = move |transaction: &_, now_ms| {
            let entries = TALKS.get(transaction, &whose, now_ms)?.map(|(entries, _)| entries).unwrap_or_default();
            Ok(entries.into_iter().filter(|entry| entry.until_ms > now_ms).map(|entry| entry.exchange).collect())
        };
        self.read(work).await
    }

    async fn remember(
        &self,
        whose: &SessionKey,
        key: &MessageKey,
        exchange: &Exchange,
        most: usize,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        let (whose, message, exchange) = (whose.as_str().to_owned(), key.to_string(), exchange.clone());
        let work = move |transaction: &_, now_ms: u64| {
            let mut entries = TALKS.get(transaction, &whose, now_ms)?.map(|(entries, _)| entries).unwrap_or_default();
            entries.retain(|entry| entry.until_ms > now_ms);
            if entries.iter().any(|entry| entry.message == message) {
                return Ok(());
            }
            entries.push(Entry { until_ms: now_ms.saturating_add(millis(keep_for)), message, exchange });
            entries.drain(..entries.len().saturating_sub(most.max(1)));
            let end_ms = entries.iter().map(|entry| entry.until_ms).max().unwrap_or(now_ms);
            TALKS.put(transaction, &whose, &entries, end_ms)
        };
        self.change(work).await
    }
}
