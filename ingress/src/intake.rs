//! Claim, publish, complete: these steps store a message once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kefu_messages::envelope::Envelope;
use kefu_queue::{Publisher, Turns};
use kefu_runtime::standing::Standing;
use kefu_store::{Claim, Claims, StoreError};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::freshness::PUSH_REMEMBERED_FOR;
use crate::metric;
use crate::refusal::Refusal;

/// How long a claim lasts without being completed. This time is shorter than an answer may take, so that already the
/// first re-send can take over from an ingress that died.
const PENDING_FOR: Duration = Duration::from_secs(4);

/// The wait between two looks at a claim that another request holds.
const LOOK_AGAIN: Duration = Duration::from_millis(75);

/// The part of a request's time that ingress reserves for settling the claim.
const SETTLE_WITHIN: Duration = Duration::from_millis(300);

/// How long a call of the store for a claim may take. The store on Redis gives up sooner.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// The wait after a publish that failed at once.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The three steps that store a message once: [`Intake::claim`], [`Claimed::publish`] and [`Published::complete`]. Each
/// step needs the result of the step before. Ingress decides the answer between claim and publish, so that copies of
/// the message wait for the decision and get the same answer.
///
/// Each step tries until the deadline of the request: after a quick refusal WeChat would spend its few re-sends within
/// a second.
pub(crate) struct Intake {
    claims: Arc<dyn Claims>,
    publisher: Arc<dyn Publisher>,
    /// The completions that no request waits for.
    completions: TaskTracker,
    shared: Arc<Shared>,
}

/// What the intakes of all threads share.
struct Shared {
    turns: Turns,
    /// Whether the store gives claims. The log reports an outage of the store once, not with every push.
    store: Standing,
    /// Names this process in claims, before the number of the request.
    owner: String,
    requests: AtomicU64,
}

/// Which request stores the message.
pub(crate) enum Ownership<'a> {
    /// This request stores the message.
    Ours(Claimed<'a>),
    /// An earlier request has stored the message, and got this answer.
    Stored {
        /// The answer to the earlier request: the empty text for `success`.
        answer: String,
    },
}

/// The claim of this request on a message, until the claim is completed or released.
#[must_use = "a claim is completed or released; else copies of the push wait until the claim runs out"]
pub(crate) struct Claimed<'a> {
    intake: &'a Intake,
    envelope: &'a Envelope,
    /// None while the store is unavailable. Ingress then publishes the push all the same, and the ledger drops the
    /// copies.
    owner: Option<String>,
    deadline: Instant,
}

/// A claim whose message the queue has stored.
#[must_use = "a published message is completed; else its copies wait until the claim runs out"]
pub(crate) struct Published<'a>(Claimed<'a>);

impl Intake {
    pub(crate) fn new(claims: Arc<dyn Claims>, publisher: Arc<dyn Publisher>) -> Self {
        let shared = Shared {
            turns: Turns::new(),
            store: Standing::new(Duration::ZERO),
            owner: Uuid::new_v4().simple().to_string(),
            requests: AtomicU64::new(0),
        };
        Self { claims, publisher, completions: TaskTracker::new(), shared: Arc::new(shared) }
    }

    /// The intake of one thread, inside whose runtime this is called: its calls pass to no other thread. Close it before
    /// the thread ends.
    pub(crate) fn local(&self) -> Self {
        Self {
            claims: self.claims.clone().local(),
            publisher: self.publisher.clone().local(),
            completions: TaskTracker::new(),
            shared: self.shared.clone(),
        }
    }

    /// Waits for the publishes under way, for `within` at most, and closes the publisher. Then waits for the completions, each
    /// of which ends by the deadline of its request. A request that comes later waits for its own completion.
    pub(crate) async fn close(&self, within: Duration) {
        self.publisher.close(within).await;
        self.completions.close();
        self.completions.wait().await;
    }

    /// Claims a message whose request ingress must answer by `deadline`. Waits while another request holds the claim.
    pub(crate) async fn claim<'a>(
        &'a self,
        envelope: &'a Envelope,
        deadline: Instant,
    ) -> Result<Ownership<'a>, Refusal> {
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let owner = format!("{}-{number}", self.shared.owner);
        let claim_by = deadline - SETTLE_WITHIN;
        let ours = |owner| Ok(Ownership::Ours(Claimed { intake: self, envelope, owner, deadline }));
        loop {
            // A store that hangs counts as unavailable.
            let limit = (Instant::now() + STORE_WITHIN).min(claim_by);
            let claim = timeout_at(limit, self.claims.claim(&envelope.key, &owner, PENDING_FOR)).await;
            let claim = claim.unwrap_or_else(|_| Err(StoreError::Unavailable("it did not answer in time".into())));
            if claim.is_ok() && self.shared.store.succeeded().is_some() {
                tracing::info!("the store answers again: ingress claims pushes again");
            }
            match claim {
                Ok(Claim::Won) => {
                    metric::claim("won");
                    return ours(Some(owner));
                }
                Ok(Claim::Done { answer }) => {
                    metric::claim("done");
                    return Ok(Ownership::Stored { answer });
                }
                Ok(Claim::Pending) => {
                    metric::claim("pending");
                    let again = Instant::now() + LOOK_AGAIN;
                    if again >= claim_by {
                        return Err(Refusal::Unavailable("another request is still storing the same push".into()));
                    }
                    sleep_until(again).await;
                }
                Err(error) => {
                    metric::claim("unavailable");
                    if self.shared.store.failed((), error.to_string()) {
                        tracing::error!(%error, "the store is unavailable: until it answers, ingress publishes pushes without a claim");
                    }
                    return ours(None);
                }
            }
        }
    }

    async fn publish(&self, envelope: &Envelope, deadline: Instant) -> Result<(), Refusal> {
        let publish_by = deadline - SETTLE_WITHIN;
        let started = Instant::now();
        let mut last = "the queue did not answer".to_owned();
        let Ok(turn) = timeout_at(publish_by, self.shared.turns.take(envelope)).await else {
            return Err(Refusal::Unavailable("an earlier message of the user is still on its way to the queue".into()));
        };
        loop {
            match timeout_at(publish_by, self.publisher.publish(envelope, turn.clone())).await {
                Ok(Ok(())) => {
                    metric::published(started.elapsed());
                    return Ok(());
                }
                // `timeout_at` does not cut off a publisher that refuses at once, as a closed publisher does.
                Ok(Err(error)) if Instant::now() >= publish_by => return Err(Refusal::Unavailable(error.to_string())),
                Ok(Err(error)) => {
                    last = error.to_string();
                    sleep_until((Instant::now() + TRY_AGAIN).min(publish_by)).await;
                }
                Err(_) => return Err(Refusal::Unavailable(last)),
            }
        }
    }
}

impl<'a> Claimed<'a> {
    /// Passes the result of a step on. A refused step has stored nothing, so this function first releases the claim,
    /// and the next copy of the push can have the claim.
    pub(crate) async fn or_release<T>(&self, step: Result<T, Refusal>) -> Result<T, Refusal> {
        if let (Err(_), Some(owner)) = (&step, &self.owner) {
            settle(self.intake.claims.release(&self.envelope.key, owner), self.deadline).await;
        }
        step
    }

    /// Returns once the queue has stored the message.
    pub(crate) async fn publish(self) -> Result<Published<'a>, Refusal> {
        self.or_release(self.intake.publish(self.envelope, self.deadline).await).await?;
        Ok(Published(self))
    }
}

impl Published<'_> {
    /// Records that the message is stored, with its `answer` for the copies: the empty text for `success`.
    ///
    /// Nobody waits for the record of a `success`. If ingress dies before the record, it decides the answer to a copy again,
    /// by the rules of that time.
    pub(crate) async fn complete(self, answer: &str) {
        let Self(Claimed { intake, envelope, deadline, .. }) = self;
        if !answer.is_empty() || intake.completions.is_closed() {
            return settle(intake.claims.complete(&envelope.key, answer, PUSH_REMEMBERED_FOR), deadline).await;
        }
        let (claims, key) = (intake.claims.clone(), envelope.key.clone());
        intake.completions.spawn(async move {
            settle(claims.complete(&key, "", PUSH_REMEMBERED_FOR), deadline).await;
        });
    }
}

/// Ends a claim. Nothing depends on this call: a claim that stays unsettled expires, the ledger drops a copy that may come,
/// and ingress decides the answer to that copy again.
async fn settle(settlement: impl Future<Output = Result<(), StoreError>>, deadline: Instant) {
    if !matches!(timeout_at(deadline, settlement).await, Ok(Ok(()))) {
        metric::claim("unsettled");
    }
}

#[cfg(test)]
mod tests;
