//! Ingress's claims.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;

use super::{DELETE_IF_EQUAL, Redis, millis};
use crate::{Claim, Claims, StoreError};

/// Stands in front of the answer.
const DONE: &str = "d";

fn name(key: &MessageKey) -> String {
    format!("kefu:claim:{{{}}}", key.as_str())
}

fn pending(owner: &str) -> String {
    format!("p:{owner}")
}

#[async_trait]
impl Claims for Redis {
    async fn claim(&self, key: &MessageKey, owner: &str, pending_for: Duration) -> Result<Claim, StoreError> {
        let own = pending(owner);
        let mut take = redis::cmd("SET");
        take.arg(name(key)).arg(&own).arg("NX").arg("GET").arg("PX").arg(millis(pending_for));
        let found: Option<String> = self.connection.query(&take).await?;
        let Some(found) = found else { return Ok(Claim::Won) };
        match found.strip_prefix(DONE) {
            Some(answer) => Ok(Claim::Done { answer: answer.to_owned() }),
            None if found == own => {
                self.connection.query::<()>(redis::cmd("PEXPIRE").arg(name(key)).arg(millis(pending_for))).await?;
                Ok(Claim::Won)
            }
            None if found.starts_with("p:") => Ok(Claim::Pending),
            None => Err(StoreError::Corrupt("a claim is neither pending nor done".into())),
        }
    }

    async fn complete(&self, key: &MessageKey, answer: &str, done_for: Duration) -> Result<(), StoreError> {
        let done = format!("{DONE}{answer}");
        let mut set = redis::cmd("SET");
        set.arg(name(key)).arg(done).arg("PX").arg(millis(done_for));
        match answer.is_empty() {
            true => self.connection.query_deferred(&set).await,
            false => self.connection.query(&set).await,
        }
    }

    async fn release(&self, key: &MessageKey, owner: &str) -> Result<(), StoreError> {
        self.connection.invoke(DELETE_IF_EQUAL.key(name(key)).arg(pending(owner))).await
    }

    fn local(self: Arc<Self>) -> Arc<dyn Claims> {
        match self.connection.another() {
            Ok(connection) => Arc::new(Self { connection: Arc::new(connection) }),
            // Only the URL could be at fault, and it has opened this connection.
            Err(_) => self,
        }
    }
}
