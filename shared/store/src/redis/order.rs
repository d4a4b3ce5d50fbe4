//! Which messages of a user are absent from their lane: sorted sets, with the time at which work on each began.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::UserKey;

use super::script::Script;
use super::{Redis, millis};
use crate::{MOST_ABSENT, Order, Place, StoreError};

static PLACE: LazyLock<Script> = script!("now.lua", "order_place.lua");
static LEAVE: LazyLock<Script> = script!("now.lua", "order_leave.lua");

fn name(user: &UserKey) -> String {
    ["kefu:order:{", user.as_str(), "}"].concat()
}

#[async_trait]
impl Order for Redis {
    async fn place(&self, user: &UserKey, message: &MessageKey) -> Result<Place, StoreError> {
        // Every message asks this question, and the usual answer needs no script.
        if !self.connection.query::<bool>(redis::cmd("EXISTS").arg(name(user))).await? {
            return Ok(Place::default());
        }
        let (has_left, earlier_ms): (bool, Option<u64>) =
            self.connection.invoke(PLACE.key(name(user)).arg(message.as_str())).await?;
        Ok(Place { has_left, earlier_begun_ago: earlier_ms.map(Duration::from_millis) })
    }

    async fn leave(
        &self,
        user: &UserKey,
        message: &MessageKey,
        begun_ago: Duration,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        let begun_ago_ms = u64::try_from(begun_ago.as_millis()).unwrap_or(u64::MAX);
        let mut leave = LEAVE.key(name(user));
        let leave = leave.arg(message.as_str()).arg(begun_ago_ms).arg(millis(keep_for)).arg(MOST_ABSENT);
        self.connection.invoke(leave).await
    }

    async fn end(&self, user: &UserKey, message: &MessageKey) -> Result<(), StoreError> {
        self.connection.query(redis::cmd("ZREM").arg(name(user)).arg(message.as_str())).await
    }
}
