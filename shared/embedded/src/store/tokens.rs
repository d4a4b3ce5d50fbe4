//! The accounts' tokens, and the right to fetch one.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use super::{EmbeddedStore, StoreError};
use crate::database::Table;
use crate::millis;
use kefu_store::{Fence, StoredToken, Tokens, Written};

const TOKENS: Shelf<Entry> = Shelf::new(Table::TOKENS);

/// An entry outlives its token and lock, or its fences would begin again. Each account has one entry.
const NEVER_MS: u64 = u64::MAX;

#[derive(Default, Serialize, Deserialize)]
struct Entry {
    #[serde(default)]
    token: Option<Token>,
    /// The fence of the last stored token; it stays when the token goes.
    stored_fence: Fence,
    #[serde(default)]
    lock: Option<Lock>,
    last_fence: Fence,
}

#[derive(Serialize, Deserialize)]
struct Token {
    value: String,
    until_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Lock {
    owner: String,
    until_ms: u64,
    /// [`Database::opening`](crate::Database::opening)
    #[serde(default)]
    opening: u64,
}

#[async_trait]
impl Tokens for EmbeddedStore {
    async fn get(&self, appid: &str) -> Result<Option<StoredToken>, StoreError> {
        let appid = appid.to_owned();
        let work = move |transaction: &_, now_ms| {
            let token = TOKENS.get(transaction, &appid, now_ms)?.and_then(|(entry, _)| entry.token);
            Ok(token.filter(|token| token.until_ms > now_ms).map(|token| StoredToken {
                value: token.value.into(),
                expires_in: Duration::from_millis(token.until_ms - now_ms),
            }))
        };
        self.read(work).await
    }

    async fn lock(&self, appid: &str, owner: &str, lock_for: Duration) -> Result<Option<Fence>, StoreError> {
        let (appid, owner, opening) = (appid.to_owned(), owner.to_owned(), self.database.opening());
        let work = move |transaction: &_, now_ms: u64| {
            let mut entry = TOKENS.get(transaction, &appid, now_ms)?.map(|(entry, _)| entry).unwrap_or_default();
            let holds = |lock: &Lock| lock.until_ms > now_ms && lock.owner != owner && lock.opening == opening;
            if entry.lock.as_ref().is_some_and(holds) {
                return Ok(None);
            }
            entry.last_fence += 1;
            entry.lock = Some(Lock { owner, until_ms: now_ms.saturating_add(millis(lock_for)), opening });
            TOKENS.put(transaction, &appid, &entry, NEVER_MS)?;
            Ok(Some(entry.last_fence))
        };
        self.change(work).await
    }

    async fn store(&self, appid: &str, fence: Fence, token: &StoredToken) -> Result<Written, StoreError> {
        let (appid, token) = (appid.to_owned(), token.clone());
        let work = move |transaction: &_, now_ms: u64| {
            let mut entry = TOKENS.get(transaction, &appid, now_ms)?.map(|(entry, _)| entry).unwrap_or_default();
            if entry.stored_fence > fence {
                return Ok(Written::Fenced);
            }
            entry.stored_fence = fence;
            entry.token = Some(Token {
                value: token.value.expose_secret().to_owned(),
                // Rounded down: nobody may use the token after WeChat has stopped honouring it.
                until_ms: now_ms.saturating_add(token.expires_in.as_millis().try_into().unwrap_or(NEVER_MS)),
            });
            TOKENS.put(transaction, &appid, &entry, NEVER_MS)?;
            Ok(Written::Yes)
        };
        self.change(work).await
    }

    async fn unlock(&self, appid: &str, owner: &str) -> Result<(), StoreError> {
        let (appid, owner) = (appid.to_owned(), owner.to_owned());
        let work = move |transaction: &_, now_ms| match TOKENS.get(transaction, &appid, now_ms)? {
            Some((mut entry, _)) if entry.lock.as_ref().is_some_and(|lock| lock.owner == owner) => {
                entry.lock = None;
                TOKENS.put(transaction, &appid, &entry, NEVER_MS)
            }
            _ => Ok(()),
        };
        self.change(work).await
    }

    async fn invalidate(&self, appid: &str, failed: &SecretString) -> Result<(), StoreError> {
        let (appid, failed) = (appid.to_owned(), failed.clone());
        let work = move |transaction: &_, now_ms| match TOKENS.get(transaction, &appid, now_ms)? {
            Some((mut entry, _)) if entry.token.as_ref().is_some_and(|token| token.value == failed.expose_secret()) => {
                entry.token = None;
                TOKENS.put(transaction, &appid, &entry, NEVER_MS)
            }
            _ => Ok(()),
        };
        self.change(work).await
    }
}
