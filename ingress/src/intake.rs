//! Claim, publish, complete: what makes a push ours, once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_messages::message_key::MessageKey;
use kefu_queue::Publisher;
use kefu_store::{Claim, Claims, StoreError};
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use crate::metric;
use crate::refusal::Refusal;

/// How long a claim holds without being completed. Shorter than the answer may take, so that already the first re-send
/// can take over from an ingress that died.
const PENDING_FOR: Duration = Duration::from_secs(4);

/// How long a push is remembered. Some are re-sent for hours. A push that has a timestamp further from the clock, in either
/// direction, is refused: nobody could tell a copy of it any more.
pub const PUSH_REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a push that somebody else is publishing is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(75);

/// What is kept of the time for settling the claim: as long as the store may take.
const SETTLE_WITHIN: Duration = Duration::from_millis(300);

/// How long a claim may take. The store on Redis gives up sooner.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// The wait after a publish that failed at once.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// Takes pushes in. Cheap to share.
pub(crate) struct Intake {
    claims: Arc<dyn Claims>,
    publisher: Arc<dyn Publisher>,
    /// Whether the last push had no claim: an outage is said once, not with every push.
    unclaimed: AtomicBool,
}

/// How a push came to be stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// By this request.
    Published {
        /// What it is answered: the empty text for `success`.
        answer: String,
    },
    /// By an earlier one.
    Duplicate {
        /// What that one was answered, and this one is as well: the empty text for `success`.
        answer: String,
    },
}

/// Shows how long the answer is: a transfer names its user, and a decision of a webhook may say anything.
impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, answer) = match self {
            Self::Published { answer } => ("Published", answer),
            Self::Duplicate { answer } => ("Duplicate", answer),
        };
        write!(f, "{name}({} bytes)", answer.len())
    }
}

/// What a request has of the claim.
enum Hold {
    Claimed,
    /// The store is away: publish all the same, the ledger drops the copies.
    Unclaimed,
    /// The push is stored already, and was answered so.
    Done(String),
}

impl Intake {
    pub(crate) fn new(claims: Arc<dyn Claims>, publisher: Arc<dyn Publisher>) -> Self {
        Self { claims, publisher, unclaimed: AtomicBool::new(false) }
    }

    /// Returns when the push is stored, with its `answer` for its copies: the empty text for `success`. Tries until
    /// `deadline`: a quick refusal would only make WeChat spend its few re-sends within a second.
    ///
    /// The answer may have to be asked for. That happens while the push is claimed, so that copies wait for it and get
    /// the same; when there is none, nothing is stored.
    pub(crate) async fn take(
        &self,
        envelope: &Envelope,
        answer: impl Future<Output = Result<String, Refusal>>,
        deadline: Instant,
    ) -> Result<Taken, Refusal> {
        let owner = Uuid::new_v4().simple().to_string();
        let publish_by = deadline - SETTLE_WITHIN;
        let claimed = match self.claim(&envelope.key, &owner, publish_by).await? {
            Hold::Done(answer) => return Ok(Taken::Duplicate { answer }),
            Hold::Claimed => true,
            Hold::Unclaimed => false,
        };
        let published = match answer.await {
            Ok(answer) => self.publish(envelope, publish_by).await.map(|()| answer),
            Err(refusal) => Err(refusal),
        };
        let settled = timeout_at(deadline, async {
            match &published {
                Ok(answer) => self.claims.complete(&envelope.key, answer, PUSH_REMEMBERED_FOR).await,
                Err(_) if claimed => self.claims.release(&envelope.key, &owner).await,
                Err(_) => Ok(()),
            }
        });
        // Nothing depends on it: the claim runs out, the ledger drops the copy that may come, and its answer is decided
        // again.
        if !matches!(settled.await, Ok(Ok(()))) {
            metric::claim("unsettled");
        }
        published.map(|answer| Taken::Published { answer })
    }

    /// The hold on the key.
    async fn claim(&self, key: &MessageKey, owner: &str, deadline: Instant) -> Result<Hold, Refusal> {
        loop {
            // A store that hangs counts as one that is away.
            let limit = (Instant::now() + STORE_WITHIN).min(deadline);
            let answer = timeout_at(limit, self.claims.claim(key, owner, PENDING_FOR)).await;
            let answer = answer.unwrap_or_else(|_| Err(StoreError::Unavailable("it did not answer in time".into())));
            if answer.is_ok() && self.unclaimed.swap(false, Ordering::Relaxed) {
                tracing::info!("the store is back: pushes are claimed again");
            }
            match answer {
                Ok(Claim::Won) => {
                    metric::claim("won");
                    return Ok(Hold::Claimed);
                }
                Ok(Claim::Done { answer }) => {
                    metric::claim("done");
                    return Ok(Hold::Done(answer));
                }
                Ok(Claim::Pending) => {
                    metric::claim("pending");
                    let again = Instant::now() + LOOK_AGAIN;
                    if again >= deadline {
                        return Err(Refusal::NotStored("another request is still storing the same push".into()));
                    }
                    sleep_until(again).await;
                }
                Err(error) => {
                    metric::claim("unavailable");
                    if !self.unclaimed.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "pushes are published without a claim until the store is back");
                    }
                    return Ok(Hold::Unclaimed);
                }
            }
        }
    }

    async fn publish(&self, envelope: &Envelope, deadline: Instant) -> Result<(), Refusal> {
        let started = Instant::now();
        let mut last = "the queue did not answer".to_owned();
        loop {
            match timeout_at(deadline, self.publisher.publish(envelope)).await {
                Ok(Ok(())) => {
                    metric::published(started.elapsed());
                    return Ok(());
                }
                // One that refuses at once, as a closed publisher does, is not cut off by its deadline.
                Ok(Err(error)) if Instant::now() >= deadline => return Err(Refusal::NotStored(error.to_string())),
                Ok(Err(error)) => {
                    last = error.to_string();
                    sleep_until((Instant::now() + TRY_AGAIN).min(deadline)).await;
                }
                Err(_) => return Err(Refusal::NotStored(last)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
