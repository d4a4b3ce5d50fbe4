//! Claims in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;

use super::MemoryStore;
use crate::{Claim, Claims, StoreError};

#[derive(Debug, Clone)]
pub(super) enum Hold {
    Pending { owner: String },
    Done { answer: String },
}

#[async_trait]
impl Claims for MemoryStore {
    async fn claim(&self, key: &MessageKey, owner: &str, pending_for: Duration) -> Result<Claim, StoreError> {
        self.up()?;
        Ok(self.claims.change(key, |hold| match hold {
            Some(Hold::Done { answer }) => (Some(Hold::Done { answer: answer.clone() }), None, Claim::Done { answer }),
            Some(Hold::Pending { owner: other }) if other != owner => {
                (Some(Hold::Pending { owner: other }), None, Claim::Pending)
            }
            _ => (Some(Hold::Pending { owner: owner.to_owned() }), Some(pending_for), Claim::Won),
        }))
    }

    async fn complete(&self, key: &MessageKey, answer: &str, done_for: Duration) -> Result<(), StoreError> {
        self.up()?;
        self.claims.put(key, Hold::Done { answer: answer.to_owned() }, done_for);
        Ok(())
    }

    async fn release(&self, key: &MessageKey, owner: &str) -> Result<(), StoreError> {
        self.up()?;
        let is_own = |hold: &Hold| matches!(hold, Hold::Pending { owner: holder } if holder == owner);
        self.claims.change(key, |hold| (hold.filter(|hold| !is_own(hold)), None, ()));
        Ok(())
    }

    fn local(self: Arc<Self>) -> Arc<dyn Claims> {
        self
    }
}
