//! Ingress's claims on message keys. A pending claim is in memory only, since it ends with the process.
//!
//! The completion of a usual push does not wait for the disk: after a crash the ledger drops the copies of the message, and
//! ingress decides their answer again. An answer that is remembered for the copies is on the disk before anybody gets it a
//! second time, so all copies have the same answer also after a crash.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use super::{EmbeddedStore, StoreError};
use crate::database::Table;
use crate::millis;
use kefu_store::{Claim, Claims};

const CLAIMS: Shelf<Hold> = Shelf::new(Table::CLAIMS);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hold {
    Pending {
        owner: String,
        /// [`Database::opening`](crate::Database::opening)
        #[serde(default)]
        opening: u64,
    },
    Done,
    /// Done, with another answer than the usual one.
    Answered {
        answer: String,
    },
}

#[async_trait]
impl Claims for EmbeddedStore {
    async fn claim(&self, key: &MessageKey, owner: &str, pending_for: Duration) -> Result<Claim, StoreError> {
        let now_open = self.database.opening();
        let claim =
            self.change_soon(|transaction: &_, now_ms| match CLAIMS.get(transaction, key.as_str(), now_ms)? {
                Some((Hold::Done, _)) => Ok(Claim::Done { answer: String::new() }),
                Some((Hold::Answered { answer }, _)) => Ok(Claim::Done { answer }),
                Some((Hold::Pending { owner: other, opening }, _)) if other != owner && opening == now_open => {
                    Ok(Claim::Pending)
                }
                Some((Hold::Pending { .. }, _)) | None => {
                    let pending = Hold::Pending { owner: owner.to_owned(), opening: now_open };
                    CLAIMS.put_in_memory(
                        transaction,
                        key.as_str(),
                        &pending,
                        now_ms.saturating_add(millis(pending_for)),
                    )?;
                    Ok(Claim::Won)
                }
            })?;
        if matches!(claim, Claim::Done { .. }) {
            // The message is stored whether the disk takes this or not.
            self.change(|transaction, now_ms| match CLAIMS.get(transaction, key.as_str(), now_ms)? {
                Some((done, end_ms)) => CLAIMS.put(transaction, key.as_str(), &done, end_ms),
                None => Ok(()),
            })
            .await
            .ok();
        }
        Ok(claim)
    }

    async fn complete(&self, key: &MessageKey, answer: &str, done_for: Duration) -> Result<(), StoreError> {
        let key = key.as_str().to_owned();
        let done = if answer.is_empty() { Hold::Done } else { Hold::Answered { answer: answer.to_owned() } };
        let work = move |transaction: &_, now_ms: u64| {
            CLAIMS.put(transaction, &key, &done, now_ms.saturating_add(millis(done_for)))
        };
        match answer {
            "" => self.change_soon(work),
            _ => self.change(work).await,
        }
    }

    async fn release(&self, key: &MessageKey, owner: &str) -> Result<(), StoreError> {
        let (key, caller) = (key.as_str().to_owned(), owner.to_owned());
        let work = move |transaction: &_, now_ms| match CLAIMS.get(transaction, &key, now_ms)? {
            Some((Hold::Pending { owner, .. }, _)) if owner == caller => CLAIMS.remove(transaction, &key),
            _ => Ok(()),
        };
        self.change_soon(work)
    }

    fn local(self: Arc<Self>) -> Arc<dyn Claims> {
        self
    }
}
