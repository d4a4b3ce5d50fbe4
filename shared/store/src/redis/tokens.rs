//! `access_token`s.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::script::Script;
use super::{Redis, millis};
use crate::{Fence, StoreError, StoredToken, Tokens, Written};

static GET: LazyLock<Script> = script!("now.lua", "token_get.lua");
static LOCK: LazyLock<Script> = script!("now.lua", "fence.lua", "token_keep.lua", "token_lock.lua");
static STORE: LazyLock<Script> = script!("now.lua", "token_keep.lua", "token_store.lua");
static UNLOCK: LazyLock<Script> = script!("token_unlock.lua");
static INVALIDATE: LazyLock<Script> = script!("token_invalidate.lua");

fn name(appid: &str) -> String {
    format!("kefu:token:{{{appid}}}")
}

#[async_trait]
impl Tokens for Redis {
    async fn get(&self, appid: &str) -> Result<Option<StoredToken>, StoreError> {
        let found: Option<(String, u64)> = self.connection.invoke(&GET.key(name(appid))).await?;
        Ok(found.map(|(value, left_ms)| StoredToken {
            value: SecretString::from(value),
            expires_in: Duration::from_millis(left_ms),
        }))
    }

    async fn lock(&self, appid: &str, owner: &str, lock_for: Duration) -> Result<Option<Fence>, StoreError> {
        self.connection.invoke(LOCK.key(name(appid)).arg(owner).arg(millis(lock_for))).await
    }

    async fn store(&self, appid: &str, fence: Fence, token: &StoredToken) -> Result<Written, StoreError> {
        let mut store = STORE.key(name(appid));
        self.write(store.arg(fence).arg(token.value.expose_secret()).arg(millis(token.expires_in))).await
    }

    async fn unlock(&self, appid: &str, owner: &str) -> Result<(), StoreError> {
        self.connection.invoke(UNLOCK.key(name(appid)).arg(owner)).await
    }

    async fn invalidate(&self, appid: &str, failed: &SecretString) -> Result<(), StoreError> {
        self.connection.invoke(INVALIDATE.key(name(appid)).arg(failed.expose_secret())).await
    }
}
