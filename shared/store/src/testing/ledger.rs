//! The ledger in memory.

use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;
use tokio::time::Instant;

use super::MemoryStore;
use crate::{Fence, Job, Ledger, LedgerClaim, StoreError, Written};

/// The ledger's entry of a message.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// The stored plan.
    pub plan: Option<Plan>,
    /// The first step that is not recorded as sent.
    pub next_step: u32,
    /// A step that was begun, and neither sent nor taken back.
    pub begun: Option<u32>,
    /// Whether the message is done.
    pub done: bool,
    /// The fence of the last claim.
    pub fence: Fence,
    /// The holder of the lease, and the end of the lease.
    pub lease: Option<(String, Instant)>,
}

impl Entry {
    fn lease_for(&mut self, lease: Duration) {
        self.lease = self.lease.take().map(|(owner, _)| (owner, Instant::now() + lease));
    }
}

impl MemoryStore {
    /// Applies `change` to the entry, if the fence is still `fence` and the message is not done.
    fn fenced(&self, key: &MessageKey, fence: Fence, change: impl FnOnce(&mut Entry)) -> Result<Written, StoreError> {
        self.up()?;
        Ok(self.jobs.change(key, |entry| match entry {
            Some(mut entry) if entry.fence == fence && !entry.done => {
                change(&mut entry);
                (Some(entry), None, Written::Yes)
            }
            other => (other, None, Written::Fenced),
        }))
    }

    /// Marks the message as done, and the steps before `next_step` as sent.
    fn end(&self, key: &MessageKey, fence: Fence, next_step: u32, keep_for: Duration) -> Result<Written, StoreError> {
        self.up()?;
        Ok(self.jobs.change(key, |entry| match entry {
            // Also if the message is done: a caller that does not know whether its first call took effect asks again.
            Some(entry) if entry.fence == fence => {
                let next_step = entry.next_step.max(next_step);
                let done = Entry { done: true, plan: None, begun: None, lease: None, next_step, ..entry };
                (Some(done), Some(keep_for), Written::Yes)
            }
            other => (other, None, Written::Fenced),
        }))
    }
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn claim(
        &self,
        key: &MessageKey,
        owner: &str,
        lease: Duration,
        keep_for: Duration,
    ) -> Result<LedgerClaim, StoreError> {
        self.up()?;
        let now = Instant::now();
        Ok(self.jobs.change(key, |entry| {
            let mut entry = entry.unwrap_or_default();
            if entry.done {
                return (Some(entry), None, LedgerClaim::Done);
            }
            if let Some((holder, until)) = &entry.lease
                && holder != owner
                && *until > now
            {
                let leased = LedgerClaim::Leased { for_at_most: *until - now };
                return (Some(entry), None, leased);
            }
            entry.fence += 1;
            entry.lease = Some((owner.to_owned(), now + lease));
            let job = Job {
                fence: entry.fence,
                plan: entry.plan.clone(),
                next_step: entry.next_step,
                // A late copy of a begin may have arrived after the step was recorded as sent.
                ambiguous: entry.begun.is_some_and(|begun| begun >= entry.next_step),
            };
            (Some(entry), Some(keep_for), LedgerClaim::Claimed(job))
        }))
    }

    async fn store_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.plan = entry.plan.take().or_else(|| Some(plan.clone())))
    }

    async fn replace_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.plan = Some(plan.clone()))
    }

    async fn begin(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        plan: Option<&Plan>,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| {
            entry.plan = entry.plan.take().or_else(|| plan.cloned());
            entry.begun = Some(step);
            entry.lease_for(lease);
        })
    }

    async fn not_sent(&self, key: &MessageKey, fence: Fence, step: u32) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.begun = entry.begun.filter(|begun| *begun != step))
    }

    async fn sent(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        done_for: Option<Duration>,
    ) -> Result<Written, StoreError> {
        if let Some(done_for) = done_for {
            return self.end(key, fence, step + 1, done_for);
        }
        self.fenced(key, fence, |entry| {
            entry.next_step = entry.next_step.max(step + 1);
            entry.begun = entry.begun.filter(|begun| *begun > step);
        })
    }

    async fn renew(&self, key: &MessageKey, fence: Fence, lease: Duration) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.lease_for(lease))
    }

    async fn release(&self, key: &MessageKey, fence: Fence) -> Result<Written, StoreError> {
        self.fenced(key, fence, |entry| entry.lease = None)
    }

    async fn done(&self, key: &MessageKey, fence: Fence, keep_for: Duration) -> Result<Written, StoreError> {
        self.end(key, fence, 0, keep_for)
    }
}
