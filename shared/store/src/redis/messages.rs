//! The state of messages: hashes that expire.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

use super::script::Script;
use super::{Redis, millis};
use crate::{Messages, Opened, Progress, StoreError};

static OPEN: LazyLock<Script> = script!("message_open.lua");
static SET: LazyLock<Script> = script!("message_set.lua");

fn name(id: &str) -> String {
    format!("kefu:send:{{{id}}}")
}

fn read(state: Option<String>) -> Result<Option<Progress>, StoreError> {
    let corrupt = |_| StoreError::Corrupt("this version cannot read the state of a message".into());
    state.map(|state| serde_json::from_str(&state)).transpose().map_err(corrupt)
}

#[async_trait]
impl Messages for Redis {
    async fn open(&self, id: &str, fingerprint: &str, keep_for: Duration) -> Result<Opened, StoreError> {
        let (found, state): (Option<String>, Option<String>) =
            self.connection.invoke(OPEN.key(name(id)).arg(fingerprint).arg(millis(keep_for))).await?;
        Ok(Opened::of(fingerprint, found.as_deref(), read(state)?))
    }

    async fn find(&self, id: &str, fingerprint: &str) -> Result<Opened, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(name(id)).arg("fingerprint").arg("state");
        let (found, state): (Option<String>, Option<String>) = self.connection.query(&command).await?;
        Ok(Opened::of(fingerprint, found.as_deref(), read(state)?))
    }

    async fn set(&self, id: &str, progress: &Progress, keep_for: Duration) -> Result<(), StoreError> {
        let state = serde_json::to_string(progress).map_err(|error| StoreError::Corrupt(error.to_string().into()))?;
        self.connection.invoke(SET.key(name(id)).arg(progress.status()).arg(state).arg(millis(keep_for))).await
    }

    async fn get(&self, id: &str) -> Result<Option<Progress>, StoreError> {
        read(self.connection.query(redis::cmd("HGET").arg(name(id)).arg("state")).await?)
    }
}
