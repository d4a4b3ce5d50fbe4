//! Conversations: lists of exchanges, each with its own end.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;

use super::script::Script;
use super::{Redis, millis};
use crate::{Conversations, Exchange, StoreError};

static RECALL: LazyLock<Script> = script!("now.lua", "conversation_recall.lua");
static REMEMBER: LazyLock<Script> = script!("now.lua", "conversation_remember.lua");

fn name(whose: &SessionKey) -> String {
    format!("kefu:conversation:{{{}}}", whose.as_str())
}

#[async_trait]
impl Conversations for Redis {
    async fn recall(&self, whose: &SessionKey) -> Result<Vec<Exchange>, StoreError> {
        let found: Vec<Vec<u8>> = self.connection.invoke(&RECALL.key(name(whose))).await?;
        let read = found.iter().map(|json| serde_json::from_slice(json));
        // The text of serde's error may repeat the exchange.
        read.collect::<Result<_, _>>()
            .map_err(|_| StoreError::Corrupt("this version cannot read an exchange with the assistant".into()))
    }

    async fn remember(
        &self,
        whose: &SessionKey,
        key: &MessageKey,
        exchange: &Exchange,
        most: usize,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        // Two strings: serialising them cannot fail.
        let json = serde_json::to_vec(exchange).unwrap_or_default();
        let mut remember = REMEMBER.key(name(whose));
        let remember = remember.arg(key.to_string()).arg(json).arg(most.max(1)).arg(millis(keep_for));
        self.connection.invoke(remember).await
    }
}
