//! What users and the assistant said to each other: the seam.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::message_key::MessageKey;
use crate::wechat::push::Push;

/// A user's text and the answer to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What the user wrote.
    pub asked: String,
    /// What the assistant answered.
    pub answered: String,
}

/// Shows nothing of it: what is said must not reach a log.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// Whose conversation it is: of one user with one account; with a sub-merchant of it, it is another one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConversationKey(String);

impl ConversationKey {
    /// The conversation of the sender of a push to the account `appid`.
    pub fn of(appid: &str, push: &Push) -> Self {
        let user = push.from_user.as_str();
        Self(match push.business_id {
            None => format!("{appid}|{user}"),
            Some(business_id) => format!("{appid}|{user}|{business_id}"),
        })
    }

    /// The text. It holds an openid.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the user.
impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationKey")
    }
}

/// The conversations with the assistant. Personal data: nothing is kept longer than it
/// was asked for.
#[async_trait]
pub trait Conversations: Send + Sync {
    /// The exchanges that have not ended, the oldest first.
    async fn recall(&self, whose: &ConversationKey) -> Result<Vec<Exchange>, StoreError>;
    /// Puts the exchange of the message `key` behind the others, unless one of that message is among them. It ends after
    /// `keep_for`; of all, the last `most` are kept.
    async fn remember(
        &self,
        whose: &ConversationKey,
        key: &MessageKey,
        exchange: &Exchange,
        most: usize,
        keep_for: Duration,
    ) -> Result<(), StoreError>;
}
