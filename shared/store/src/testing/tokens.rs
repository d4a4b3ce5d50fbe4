//! access_tokens in memory.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::MemoryStore;
use crate::{Fence, StoreError, StoredToken, Tokens, Written};

#[derive(Default)]
pub(super) struct TokenEntry {
    token: Option<(String, Instant)>,
    stored_fence: Fence,
    fence: Fence,
    lock: Option<(String, Instant)>,
}

#[async_trait]
impl Tokens for MemoryStore {
    async fn get(&self, appid: &str) -> Result<Option<StoredToken>, StoreError> {
        self.up()?;
        let tokens = self.tokens.lock().unwrap();
        let token = tokens.get(appid).and_then(|entry| entry.token.as_ref());
        Ok(token.filter(|(_, until)| *until > Instant::now()).map(|(value, until)| StoredToken {
            value: SecretString::from(value.as_str()),
            expires_in: *until - Instant::now(),
        }))
    }

    async fn lock(&self, appid: &str, owner: &str, lock_for: Duration) -> Result<Option<Fence>, StoreError> {
        self.up()?;
        let mut tokens = self.tokens.lock().unwrap();
        let entry = tokens.entry(appid.to_owned()).or_default();
        if entry.lock.as_ref().is_some_and(|(holder, until)| holder != owner && *until > Instant::now()) {
            return Ok(None);
        }
        entry.lock = Some((owner.to_owned(), Instant::now() + lock_for));
        entry.fence += 1;
        Ok(Some(entry.fence))
    }

    async fn store(&self, appid: &str, fence: Fence, token: &StoredToken) -> Result<Written, StoreError> {
        self.up()?;
        let mut tokens = self.tokens.lock().unwrap();
        let entry = tokens.entry(appid.to_owned()).or_default();
        if entry.stored_fence > fence {
            return Ok(Written::Fenced);
        }
        entry.stored_fence = fence;
        entry.token = Some((token.value.expose_secret().to_owned(), Instant::now() + token.expires_in));
        Ok(Written::Yes)
    }

    async fn unlock(&self, appid: &str, owner: &str) -> Result<(), StoreError> {
        self.up()?;
        if let Some(entry) = self.tokens.lock().unwrap().get_mut(appid) {
            entry.lock.take_if(|(holder, _)| holder == owner);
        }
        Ok(())
    }

    async fn invalidate(&self, appid: &str, failed: &SecretString) -> Result<(), StoreError> {
        self.up()?;
        if let Some(entry) = self.tokens.lock().unwrap().get_mut(appid) {
            entry.token.take_if(|(value, _)| value == failed.expose_secret());
        }
        Ok(())
    }
}
