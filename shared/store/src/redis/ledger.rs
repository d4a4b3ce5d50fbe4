//! The workers' record.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::plan::Plan;

use super::script::Script;
use super::{Redis, millis};
use crate::{Fence, Job, Ledger, LedgerClaim, StoreError, Written};

static CLAIM: LazyLock<Script> = script!("now.lua", "fence.lua", "job_claim.lua");
static STORE_PLAN: LazyLock<Script> = script!("job_guard.lua", "job_store_plan.lua");
static REPLACE_PLAN: LazyLock<Script> = script!("job_guard.lua", "job_replace_plan.lua");
static BEGIN: LazyLock<Script> = script!("now.lua", "job_guard.lua", "job_begin.lua");
static NOT_SENT: LazyLock<Script> = script!("job_guard.lua", "job_not_sent.lua");
static SENT: LazyLock<Script> = script!("job_guard.lua", "job_sent.lua");
static RENEW: LazyLock<Script> = script!("now.lua", "job_guard.lua", "job_renew.lua");
static RELEASE: LazyLock<Script> = script!("job_guard.lua", "job_release.lua");
static DONE: LazyLock<Script> = script!("job_done.lua");

/// The kind of the answer, milliseconds left of the lease, fence, next step, ambiguous, plan.
type Found = (String, u64, Fence, u32, bool, Option<Vec<u8>>);

fn name(key: &MessageKey) -> String {
    ["kefu:job:{", key.as_str(), "}"].concat()
}

fn json(plan: &Plan) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(plan)
        .map_err(|_| StoreError::Corrupt("the plan cannot be written as JSON: a file name is not UTF-8".into()))
}

impl Redis {
    /// Marks the message as done, and the steps before `next_step` as sent.
    async fn end(
        &self,
        key: &MessageKey,
        fence: Fence,
        next_step: u32,
        keep_for: Duration,
    ) -> Result<Written, StoreError> {
        self.write(DONE.key(name(key)).arg(fence).arg(next_step).arg(millis(keep_for))).await
    }
}

#[async_trait]
impl Ledger for Redis {
    async fn claim(
        &self,
        key: &MessageKey,
        owner: &str,
        lease: Duration,
        keep_for: Duration,
    ) -> Result<LedgerClaim, StoreError> {
        let mut claim = CLAIM.key(name(key));
        let claim = claim.arg(owner).arg(millis(lease)).arg(millis(keep_for));
        let (found, left_ms, fence, next_step, ambiguous, plan): Found = self.connection.invoke(claim).await?;
        match found.as_str() {
            "claimed" => {
                let plan = plan.as_deref().map(serde_json::from_slice).transpose();
                // The text of serde's error may repeat the plan.
                let plan =
                    plan.map_err(|_| StoreError::Corrupt("this version cannot read the plan of a message".into()))?;
                Ok(LedgerClaim::Claimed(Job { fence, plan, next_step, ambiguous }))
            }
            "leased" => Ok(LedgerClaim::Leased { for_at_most: Duration::from_millis(left_ms) }),
            "done" => Ok(LedgerClaim::Done),
            _ => Err(StoreError::Corrupt("the entry of a message is neither open nor done".into())),
        }
    }

    async fn store_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        self.write(STORE_PLAN.key(name(key)).arg(fence).arg(json(plan)?)).await
    }

    async fn replace_plan(&self, key: &MessageKey, fence: Fence, plan: &Plan) -> Result<Written, StoreError> {
        self.write(REPLACE_PLAN.key(name(key)).arg(fence).arg(json(plan)?)).await
    }

    async fn begin(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        plan: Option<&Plan>,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        let mut begin = BEGIN.key(name(key));
        begin.arg(fence).arg(step).arg(millis(lease));
        if let Some(plan) = plan {
            begin.arg(json(plan)?);
        }
        self.write(&begin).await
    }

    async fn not_sent(&self, key: &MessageKey, fence: Fence, step: u32) -> Result<Written, StoreError> {
        self.write(NOT_SENT.key(name(key)).arg(fence).arg(step)).await
    }

    async fn sent(
        &self,
        key: &MessageKey,
        fence: Fence,
        step: u32,
        done_for: Option<Duration>,
    ) -> Result<Written, StoreError> {
        match done_for {
            Some(done_for) => self.end(key, fence, step + 1, done_for).await,
            None => self.write(SENT.key(name(key)).arg(fence).arg(step)).await,
        }
    }

    async fn renew(&self, key: &MessageKey, fence: Fence, lease: Duration) -> Result<Written, StoreError> {
        self.write(RENEW.key(name(key)).arg(fence).arg(millis(lease))).await
    }

    async fn release(&self, key: &MessageKey, fence: Fence) -> Result<Written, StoreError> {
        self.write(RELEASE.key(name(key)).arg(fence)).await
    }

    async fn done(&self, key: &MessageKey, fence: Fence, keep_for: Duration) -> Result<Written, StoreError> {
        self.end(key, fence, 0, keep_for).await
    }
}
