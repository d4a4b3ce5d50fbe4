//! The record of users' windows. The scripts do the same as the methods of [`Window`]; the contract tests compare them.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use kefu_messages::window::{self, CLOCKS_DIFFER_MS, Opened, Opening, Refused, Window};

use super::script::Script;
use super::{Redis, millis};
use crate::{StoreError, Windows};

static OPEN: LazyLock<Script> = script!("window_open.lua");
static COUNT: LazyLock<Script> = script!("window_count.lua");
static REFUSE: LazyLock<Script> = script!("window_refuse.lua");
static TRANSFER: LazyLock<Script> = script!("window_transfer.lua");

/// The fields of a window: at, by, sent and refused of the latest message, the same of the latest entering, and the rest.
const FIELDS: [&str; 10] =
    ["m_at", "m_by", "m_sent", "m_refused", "e_at", "e_by", "e_sent", "e_refused", "counted", "unknown_until"];

/// The values of [`FIELDS`].
type Stored = (
    Option<u64>,
    Option<String>,
    Option<u32>,
    Option<String>,
    Option<u64>,
    Option<String>,
    Option<u32>,
    Option<String>,
    Option<String>,
    Option<u64>,
);

fn name(user: &SessionKey) -> String {
    ["kefu:window:{", user.as_str(), "}"].concat()
}

fn window(stored: Stored) -> Result<Window, StoreError> {
    let (m_at, m_by, m_sent, m_refused, e_at, e_by, e_sent, e_refused, counted, unknown_until_ms) = stored;
    let message = opened(m_at, m_by, m_sent, m_refused)?;
    Ok(Window { message, enter: opened(e_at, e_by, e_sent, e_refused)?, counted, unknown_until_ms })
}

fn opened(
    at_ms: Option<u64>,
    by: Option<String>,
    sent: Option<u32>,
    refused: Option<String>,
) -> Result<Option<Opened>, StoreError> {
    let Some(at_ms) = at_ms else { return Ok(None) };
    let refused = match refused.as_deref() {
        None => None,
        Some(word) if word == word_of(Refused::OutOfCount) => Some(Refused::OutOfCount),
        Some(word) if word == word_of(Refused::OutOfTime) => Some(Refused::OutOfTime),
        Some(_) => {
            return Err(StoreError::Corrupt(
                "a user's window is closed for a reason that this version does not know".into(),
            ));
        }
    };
    Ok(Some(Opened { at_ms, by: by.unwrap_or_default(), sent: sent.unwrap_or_default(), refused }))
}

fn word_of(refused: Refused) -> &'static str {
    match refused {
        Refused::OutOfCount => "count",
        Refused::OutOfTime => "time",
    }
}

/// The push that told of an opening; the empty text for none.
fn by(opened: &Option<Opened>) -> &str {
    opened.as_ref().map_or("", |opened| &opened.by)
}

#[async_trait]
impl Windows for Redis {
    async fn get(&self, user: &SessionKey) -> Result<Window, StoreError> {
        window(self.connection.query(redis::cmd("HMGET").arg(name(user)).arg(&FIELDS)).await?)
    }

    async fn open(
        &self,
        user: &SessionKey,
        opening: Opening,
        by: &MessageKey,
        at_ms: u64,
        keep_for: Duration,
    ) -> Result<Window, StoreError> {
        let prefix = match opening {
            Opening::Message => "m_",
            Opening::Enter => "e_",
        };
        let mut open = OPEN.key(name(user));
        let open = open.arg(prefix).arg(at_ms).arg(by.as_str()).arg(CLOCKS_DIFFER_MS).arg(millis(keep_for));
        window(self.connection.invoke(open).await?)
    }

    async fn count(
        &self,
        user: &SessionKey,
        seen: &Window,
        of: &MessageKey,
        step: u32,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        let mut count = COUNT.key(name(user));
        let count = count.arg(by(&seen.message)).arg(by(&seen.enter)).arg(window::counted(of, step));
        self.connection.invoke(count.arg(millis(keep_for))).await
    }

    async fn refuse(
        &self,
        user: &SessionKey,
        seen: &Window,
        refused: Refused,
        keep_for: Duration,
    ) -> Result<(), StoreError> {
        let mut refuse = REFUSE.key(name(user));
        let refuse = refuse.arg(by(&seen.message)).arg(by(&seen.enter)).arg(word_of(refused));
        self.connection.invoke(refuse.arg(millis(keep_for))).await
    }

    async fn transfer(&self, user: &SessionKey, until_ms: u64, keep_for: Duration) -> Result<(), StoreError> {
        let mut transfer = TRANSFER.key(name(user));
        self.connection.invoke(transfer.arg(until_ms).arg(millis(keep_for))).await
    }

    async fn forget(&self, user: &SessionKey) -> Result<(), StoreError> {
        self.connection.query(redis::cmd("DEL").arg(name(user))).await
    }
}
