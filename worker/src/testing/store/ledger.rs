//! The ledger in memory.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;
use kefu_store::{Fence, Job, Ledger, LedgerClaim, StoreError, Written};
use tokio::time::Instant;

use super::MemoryStore;

#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) plan: Option<Plan>,
    pub(crate) next_step: u32,
    pub(crate) begun: Option<u32>,
    pub(crate) done: bool,
    pub(crate) fence: Fence,
    pub(crate) lease: Option<(String, Instant)>,
}

impl MemoryStore {
    fn fenced(&self, key: &MessageKey, fence: Fence, change: impl FnOnce(&mut Entry)) -> Result<Written, StoreError> {
        self.up()?;
        let mut jobs = self.jobs.lock().unwrap();
        match jobs.get_mut(key) {
            Some(entry) if entry.fence == fence && !entry.done => {
                change(entry);
                Ok(Written::Yes)
            }
            _ => Ok(Written::Fenced),
        }
    }
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn claim(
        &self,
        key: &MessageKey,
        owner: &str,
        lease: Duration,
        _keep_for: Duration,
    ) -> Result<LedgerClaim, StoreError> {
        self.up()?;
        let now = Instant::now();
        let mut jobs = self.jobs.lock().unwrap();
        let entry = jobs.entry(key.clone()).or_default();
        if entry.done {
            return Ok(LedgerClaim::Done);
        }
        if let Some((holder, until)) = &entry.lease
            && holder != owner
            && *until > now
        {
            return Ok(LedgerClaim::Leased { for_at_most: *until - now });
        }
        entry.fence += 1;
        entry.lease = Some((owner.to_owned(), now + lease));
        Ok(LedgerClaim::Claimed(Job {
            fence: entry.fence,
            plan: entry.plan.clone(),
            next_step: entry.next_step,
            ambiguous: entry.begun.is_some(),
        }))
    }

    async fn store_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.plan = entry.plan.take().or_else(|| Some(plan.clone())))
    }

    async fn replace_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.plan = Some(plan.clone()))
    }

    async fn begin(&self, key: &MessageKey, fence: Fence, step: u32, lease: Duration) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| {
            entry.begun = Some(step);
            entry.lease = entry.lease.take().map(|(owner, _)| (owner, Instant::now() + lease));
        })
    }

    async fn not_sent(&self, key: &MessageKey, fence: Fence, _step: u32) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.begun = None)
    }

    async fn sent(&self, key: &MessageKey, fence: Fence, step: u32) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| (entry.begun, entry.next_step) = (None, step + 1))
    }

    async fn renew(&self, key: &MessageKey, fence: Fence, lease: Duration) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| {
            entry.lease = entry.lease.take().map(|(owner, _)| (owner, Instant::now() + lease));
        })
    }

    async fn release(&self, key: &MessageKey, fence: Fence) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.lease = None)
    }

    async fn done(&self, key: &MessageKey, fence: Fence, _keep_for: Duration) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| (entry.done, entry.plan, entry.lease) = (true, None, None))
    }
}
