//! The workers' record of plans, and of the steps that were sent.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;
use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use super::{EmbeddedStore, Failure, StoreError};
use crate::database::{Table, Transaction};
use crate::millis;
use kefu_store::{Fence, Job, Ledger, LedgerClaim, Written};

const JOBS: Shelf<Entry> = Shelf::new(Table::JOBS);

#[derive(Serialize, Deserialize)]
struct Entry {
    fence: Fence,
    owner: String,
    leased_until_ms: u64,
    /// The lease's [`Database::opening`](crate::Database::opening).
    #[serde(default)]
    opening: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    next_step: u32,
    /// A step that was begun, and neither sent nor taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sending: Option<u32>,
    done: bool,
}

impl Entry {
    /// The entry for the next holder of a fence.
    fn new() -> Self {
        Self {
            fence: 0,
            owner: String::new(),
            leased_until_ms: 0,
            opening: 0,
            plan: None,
            next_step: 0,
            sending: None,
            done: false,
        }
    }

    fn job(&self) -> Job {
        Job {
            fence: self.fence,
            plan: self.plan.clone(),
            next_step: self.next_step,
            // A late copy of a begin may have arrived after the step was recorded as sent.
            ambiguous: self.sending.is_some_and(|sending| sending >= self.next_step),
        }
    }
}

impl EmbeddedStore {
    /// Applies `change` to the entry of `key`, if the fence is still `fence` and the entry is not done. The argument of
    /// `change` is the time.
    async fn fenced<F>(&self, key: &MessageKey, fence: Fence, change: F) -> Result<Written, StoreError>
    where
        F: FnOnce(&mut Entry, u64) + Send + 'static,
    {
        let key = key.as_str().to_owned();
        let work = move |transaction: &_, now_ms| match JOBS.get(transaction, &key, now_ms)? {
            Some((mut entry, end_ms)) if entry.fence == fence && !entry.done => {
                change(&mut entry, now_ms);
                JOBS.put(transaction, &key, &entry, end_ms)?;
                Ok(Written::Yes)
            }
            _ => Ok(Written::Fenced),
        };
        self.change(work).await
    }
}

/// Marks the message as done, and the steps before `next_step` as sent.
fn ending(
    key: &MessageKey,
    fence: Fence,
    next_step: u32,
    keep_for: Duration,
) -> impl FnOnce(&Transaction, u64) -> Result<Written, Failure> {
    let key = key.as_str().to_owned();
    move |transaction, now_ms| match JOBS.get(transaction, &key, now_ms)? {
        // Also if the entry is done: a caller that does not know whether the first call took effect asks again.
        Some((mut entry, _)) if entry.fence == fence => {
            entry.done = true;
            entry.next_step = entry.next_step.max(next_step);
            entry.plan = None;
            entry.sending = None;
            JOBS.put(transaction, &key, &entry, now_ms.saturating_add(millis(keep_for)))?;
            Ok(Written::Yes)
        }
        _ => Ok(Written::Fenced),
    }
}

#[async_trait]
impl Ledger for EmbeddedStore {
    async fn claim(
        &self,
        key: &MessageKey,
        owner: &str,
        lease: Duration,
        keep_for: Duration,
    ) -> Result<LedgerClaim, StoreError> {
        let (key, owner, opening) = (key.as_str().to_owned(), owner.to_owned(), self.database.opening());
        let work = move |transaction: &_, now_ms| -> Result<LedgerClaim, Failure> {
            let mut entry = JOBS.get(transaction, &key, now_ms)?.map_or_else(Entry::new, |(entry, _)| entry);
            if entry.done {
                return Ok(LedgerClaim::Done);
            }
            if entry.leased_until_ms > now_ms && entry.owner != owner && entry.opening == opening {
                return Ok(LedgerClaim::Leased { for_at_most: Duration::from_millis(entry.leased_until_ms - now_ms) });
            }
            entry.fence += 1;
            entry.owner = owner;
            entry.opening = opening;
            entry.leased_until_ms = now_ms.saturating_add(millis(lease));
            JOBS.put(transaction, &key, &entry, now_ms.saturating_add(millis(keep_for)))?;
            Ok(LedgerClaim::Claimed(entry.job()))
        };
        // A claim ends with the process, and the claim of a disk that failed is fenced.
        self.change_soon(work)
    }

    async fn store_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        let plan = plan.clone();
        self.fenced(key, fence, |entry, _| entry.plan = entry.plan.take().or(Some(plan))).await
    }

    async fn replace_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        let plan = plan.clone();
        self.fenced(key, fence, |entry, _| entry.plan = Some(plan)).await
    }

    async fn begin(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        plan: Option<&Plan>,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        let plan = plan.cloned();
        let change = move |entry: &mut Entry, now_ms: u64| {
            entry.plan = entry.plan.take().or(plan);
            entry.sending = Some(step);
            entry.leased_until_ms = now_ms.saturating_add(millis(lease));
        };
        self.fenced(key, fence, change).await
    }

    async fn not_sent(&self, key: &MessageKey, fence: Fence, step: u32) -> Result<Written, StoreError> {
        self.fenced(key, fence, move |entry, _| entry.sending = entry.sending.filter(|&sending| sending != step)).await
    }

    async fn sent(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        done_for: Option<Duration>,
    ) -> Result<Written, StoreError> {
        if let Some(done_for) = done_for {
            return self.change(ending(key, fence, step + 1, done_for)).await;
        }
        let change = move |entry: &mut Entry, _: u64| {
            // A call that is repeated because its outcome was unknown must not undo a later step.
            entry.next_step = entry.next_step.max(step + 1);
            entry.sending = entry.sending.filter(|&sending| sending > step);
        };
        self.fenced(key, fence, change).await
    }

    async fn renew(&self, key: &MessageKey, fence: Fence, lease: Duration) -> Result<Written, StoreError> {
        let change = move |entry: &mut Entry, now_ms: u64| {
            entry.leased_until_ms = now_ms.saturating_add(millis(lease));
        };
        self.fenced(key, fence, change).await
    }

    async fn release(&self, key: &MessageKey, fence: Fence) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry, _| entry.leased_until_ms = 0).await
    }

    async fn done(&self, key: &MessageKey, fence: Fence, keep_for: Duration) -> Result<Written, StoreError> {
        // The settlement, or the next claim of the message, comes later and is durable later.
        self.change_soon(ending(key, fence, 0, keep_for))
    }
}
