//! The seam to the order of messages that are in the queue again.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::UserKey;

use super::StoreError;

/// How many messages of one user are noted at most. A later message is not noted, but still waits for the noted ones.
pub const MOST_ABSENT: usize = 500;

/// The place of a message among the messages of its user that left their lane for the queue and have not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The message itself has left its lane before.
    pub has_left: bool,
    /// How long ago work first began on the message that left the lane just before this one. `None` when no earlier message
    /// is absent.
    pub earlier_begun_ago: Option<Duration>,
}

/// The messages of each user that left their lane for the queue and have not ended, in the order in which they left.
///
/// A lane is in one process, and its partition may go to another process at any time: the next owner learns here which
/// messages it must not overtake.
#[async_trait]
pub trait Order: Send + Sync {
    /// The place of the message. One round trip when no message of the user is absent.
    async fn place(&self, user: &UserKey, message: &MessageKey) -> Result<Place, StoreError>;
    /// Notes that the message, on which work first began `begun_ago`, leaves its lane. The message goes behind all messages
    /// that left earlier, or stays where it is noted already. Notes of the user that are older than `keep_for` are dropped.
    /// Only the owner of the lane calls this method, for one user at a time.
    async fn leave(
        &self,
        user: &UserKey,
        message: &MessageKey,
        begun_ago: Duration,
        keep_for: Duration,
    ) -> Result<(), StoreError>;
    /// The message has ended: no other message waits for it any more.
    async fn end(&self, user: &UserKey, message: &MessageKey) -> Result<(), StoreError>;
}
