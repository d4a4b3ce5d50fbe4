//! The seam to the conversations of users with the assistant.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// A user's text and the answer to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What the user wrote.
    pub asked: String,
    /// What the assistant answered.
    pub answered: String,
}

/// Shows nothing of the exchange: its texts must not reach a log.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// The conversations with the assistant. They are personal data: nothing is kept longer than the caller asked for.
#[async_trait]
pub trait Conversations: Send + Sync {
    /// The exchanges that have not ended, the oldest first.
    async fn recall(&self, whose: &SessionKey) -> Result<Vec<Exchange>, StoreError>;
    /// Puts the exchange of the message `key` behind the others, unless an exchange of that message is among them. The
    /// exchange ends after `keep_for`; of all exchanges, the last `most` are kept.
    async fn remember(
        &self,
        whose: &SessionKey,
        key: &MessageKey,
        exchange: &Exchange,
        most: usize,
        keep_for: Duration,
    ) -> Result<(), StoreError>;
}
