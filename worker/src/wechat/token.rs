//! access_tokens: all workers share one per account, and one worker at a time fetches it.
//!
//! In front of the shared store each process has a cache of [`LOCAL_FOR`] and a single flight. Sources of the rules:
//! <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html>.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kefu_program::config::Accounts;
use kefu_runtime::in_words;
use kefu_store::{Fence, StoredToken, Tokens, Written};
use secrecy::SecretString;
use tokio::time::Instant;
use uuid::Uuid;

use super::WeChat;
use super::failure::Failure;

mod known;

use known::Known;
pub(crate) use known::RefusedToken;

/// How long this process uses a token before it asks the store whether another process has replaced the token.
const LOCAL_FOR: Duration = Duration::from_secs(2);

/// The shortest time between two drops of refused tokens. If WeChat refuses a token right after its fetch, more fetches
/// do not help, and WeChat limits fetches.
const RENEWAL_GAP: Duration = Duration::from_secs(5);

/// The shortest time between two tries to replace a token that is still good.
const EARLY_TRY_GAP: Duration = Duration::from_secs(10);

/// The accounts' access_tokens.
pub(crate) struct AccessTokens {
    accounts: HashMap<String, Arc<OfAccount>>,
}

impl AccessTokens {
    /// `call_limit`: how long one call of WeChat's API may take.
    pub(crate) fn new(
        accounts: &Accounts,
        tokens: &Arc<dyn Tokens>,
        wechat: &Arc<WeChat>,
        call_limit: Duration,
    ) -> Self {
        let of_account = |account: &kefu_program::config::Account| OfAccount {
            account: account.clone(),
            tokens: Arc::clone(tokens),
            wechat: Arc::clone(wechat),
            // The holder of the right to fetch makes one call.
            lock_for: call_limit + Duration::from_secs(2),
            known: Known::default(),
            flight: Default::default(),
        };
        let accounts = accounts.iter().map(|account| (account.appid.clone(), Arc::new(of_account(account)))).collect();
        Self { accounts }
    }

    /// A token that was good a moment ago, from the cache, from the store, or from a fetch.
    pub(crate) async fn get(&self, appid: &str) -> Result<SecretString, Failure> {
        let account = self.account(appid)?;
        match account.known.fresh() {
            Some(token) => Ok(token),
            None => account.flight.run(account.look_or_fetch()).await,
        }
    }

    /// Drops a token that WeChat refused, wherever the token is still in use.
    pub(crate) async fn refuse(&self, appid: &str, refused: &SecretString) -> RefusedToken {
        let Ok(account) = self.account(appid) else { return RefusedToken::Replaced };
        let drop_it = async {
            let fate = account.known.forget(refused, RENEWAL_GAP);
            if fate == RefusedToken::Dropped {
                tracing::warn!(account = appid, "WeChat refused the access_token; another is fetched");
                if let Err(error) = account.tokens.invalidate(appid, refused).await {
                    tracing::debug!(%error, "the refused access_token stays in the store");
                }
            }
            fate
        };
        account.flight.between(drop_it).await
    }

    fn account(&self, appid: &str) -> Result<&Arc<OfAccount>, Failure> {
        self.accounts.get(appid).ok_or_else(|| Failure::Passing("the account is not configured".into()))
    }
}

struct OfAccount {
    account: kefu_program::config::Account,
    tokens: Arc<dyn Tokens>,
    wechat: Arc<WeChat>,
    lock_for: Duration,
    known: Known,
    flight: super::single_flight::SingleFlight,
}

impl OfAccount {
    async fn look_or_fetch(self: &Arc<Self>) -> Result<SecretString, Failure> {
        if let Some(token) = self.known.fresh() {
            return Ok(token);
        }
        match self.tokens.get(&self.account.appid).await {
            Ok(Some(stored)) => {
                self.known.learn(&stored);
                if self.known.due(EARLY_TRY_GAP) {
                    self.refresh_early(stored.value.clone());
                }
                Ok(stored.value)
            }
            Ok(None) => {
                let this = Arc::clone(self);
                // The fetch runs in a task of its own, so that a dropped caller does not leave the right to fetch
                // locked.
                let fetching = tokio::spawn(async move { this.fetch_or_wait().await });
                // The task's error is left out, since it quotes the text of a panic.
                fetching.await.unwrap_or_else(|_| Err(Failure::Passing("the token fetch was cut off".into())))
            }
            // Without the store this process learns no new token, but a known token stays good.
            Err(error) => self.known.unexpired().ok_or(Failure::Store(error)),
        }
    }

    /// Fetches the token, or waits for the process that fetches it.
    async fn fetch_or_wait(&self) -> Result<SecretString, Failure> {
        let appid = &self.account.appid;
        // The owner is new each time, so that two tasks of one process are two owners.
        let owner = Uuid::new_v4().to_string();
        let give_up_at = Instant::now() + self.lock_for + EARLY_TRY_GAP;
        while Instant::now() < give_up_at {
            if let Some(fence) = self.tokens.lock(appid, &owner, self.lock_for).await? {
                return self.fetch_locked(fence, &owner, None).await;
            }
            tokio::time::sleep(rand::random_range(Duration::from_millis(20)..Duration::from_millis(50))).await;
            if let Some(stored) = self.tokens.get(appid).await? {
                self.known.learn(&stored);
                return Ok(stored.value);
            }
        }
        Err(Failure::Passing(
            "another worker has the right to fetch the access_token, and has fetched none in time".into(),
        ))
    }

    /// Replaces a token that stays good for a while, without making any caller wait.
    fn refresh_early(self: &Arc<Self>, present: SecretString) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let owner = Uuid::new_v4().to_string();
            let appid = &this.account.appid;
            let refreshed = match this.tokens.lock(appid, &owner, this.lock_for).await {
                Ok(Some(fence)) => this.fetch_locked(fence, &owner, Some(&present)).await.map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(Failure::Store(error)),
            };
            if let Err(error) = refreshed {
                let error = in_words(&error);
                tracing::warn!(
                    account = appid,
                    %error,
                    "the access_token is not refreshed yet, the present one is used"
                );
            }
        });
    }

    /// Fetches with the right to fetch, and gives that right back. If the store has a token other than `present`,
    /// another process has fetched that token meanwhile, and this one takes it instead.
    async fn fetch_locked(
        &self,
        fence: Fence,
        owner: &str,
        present: Option<&SecretString>,
    ) -> Result<SecretString, Failure> {
        let appid = &self.account.appid;
        let fetched = match self.tokens.get(appid).await.map_err(Failure::Store) {
            Ok(Some(stored)) if present.is_none_or(|present| !known::same(present, &stored.value)) => Ok(stored),
            Ok(_) => self.fetch_and_store(fence).await,
            Err(failure) => Err(failure),
        };
        if let Err(error) = self.tokens.unlock(appid, owner).await {
            tracing::debug!(%error, "the right to fetch the access_token was not given back and runs out");
        }
        let token = fetched?;
        self.known.learn(&token);
        Ok(token.value)
    }

    async fn fetch_and_store(&self, fence: Fence) -> Result<StoredToken, Failure> {
        let appid = &self.account.appid;
        let fetched = self.wechat.fetch_token(&self.account).await?;
        match self.tokens.store(appid, fence, &fetched).await {
            Ok(Written::Yes) => Ok(fetched),
            // The lock ran out and another process fetched later, so the token of that process is newer.
            Ok(Written::Fenced) => Ok(self.tokens.get(appid).await.ok().flatten().unwrap_or(fetched)),
            Err(error) => {
                tracing::debug!(%error, "the access_token is not stored; this process uses it");
                Ok(fetched)
            }
        }
    }
}

#[cfg(test)]
mod tests;
