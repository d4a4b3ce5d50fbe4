//! Sends the steps of a plan. Each step is sent, or decided about, and recorded in the ledger.
//!
//! * [`window`]: whether WeChat takes replies for the user.
//! * [`pauses`]: accounts that WeChat refuses for now.
//! * [`remedy`]: the meaning of a refusal.
//! * [`typing`]: the sign that the user sees while an answer takes long.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kefu_messages::plan::Plan;
use kefu_messages::reply::Reply;
use kefu_program::config::{Ambiguous, Config};
use kefu_queue::DeadReason;
use kefu_runtime::{clock, in_words};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::metric;
use crate::outcome::Outcome;
use crate::wechat::errcode::Action;
use crate::wechat::failure::{Failure, Refusal};
use crate::wechat::media::Uploads;
use crate::wechat::token::AccessTokens;
use crate::wechat::{WeChat, body};

pub(crate) mod pauses;
pub(crate) mod remedy;
pub(crate) mod typing;
pub(crate) mod window;

use pauses::Pauses;
use remedy::{Remedy, Verdict};
use window::UserWindows;

/// The wait before the worker repeats a request that got no answer.
const UNANSWERED_FOR: Duration = Duration::from_secs(5);

/// Sends replies; all lanes share it.
pub(crate) struct Sender {
    /// The operator's choice for an ambiguous step, which may or may not have been sent.
    ambiguous: Ambiguous,
    /// The folder of the pictures that replies name.
    folder: PathBuf,
    pub(crate) wechat: Arc<WeChat>,
    pub(crate) tokens: Arc<AccessTokens>,
    uploads: Uploads,
    windows: Arc<UserWindows>,
    /// The accounts whose sends are paused.
    pub(crate) pauses: Arc<Pauses>,
}

/// A step of a plan.
#[derive(Clone, Copy)]
struct Step<'p> {
    plan: &'p Plan,
    index: u32,
    reply: &'p Reply,
}

impl Step<'_> {
    fn is_last(self) -> bool {
        self.index as usize + 1 == self.plan.steps.len()
    }
}

/// The remedies that were tried for a step so far.
#[derive(Debug, Default)]
struct Tried {
    unanswered: bool,
    uploaded_again: bool,
    remedies: remedy::Tried,
}

/// Why a try did not send the step.
enum Miss {
    Outcome(Outcome),
    /// A call failed.
    Failure(Failure),
}

/// The next action after a failed try.
enum Next {
    Again,
    /// Treats the step as sent.
    GoOn,
}

impl From<Outcome> for Miss {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Sender {
    pub(crate) fn new(
        config: &Config,
        wechat: Arc<WeChat>,
        tokens: Arc<AccessTokens>,
        uploads: Uploads,
        windows: Arc<UserWindows>,
        pauses: Arc<Pauses>,
    ) -> Self {
        let (ambiguous, folder) = (config.worker.ambiguous, config.folder.clone());
        Self { ambiguous, folder, wechat, tokens, uploads, windows, pauses }
    }

    /// Sends the steps of the plan that are not sent yet.
    pub(crate) async fn send(&self, attempt: &mut Attempt<'_>, plan: &Plan) -> Result<(), Outcome> {
        let (next_step, ambiguous) = (attempt.job.next_step, attempt.job.ambiguous);
        attempt.first_send &= next_step == 0;
        for (index, reply) in (0_u32..).zip(&plan.steps).skip(next_step as usize) {
            let step = Step { plan, index, reply };
            self.send_step(attempt, step, ambiguous && index == next_step).await?;
            attempt.shorten_backoff();
        }
        Ok(())
    }

    /// Sends the step, with all the tries that the step takes. `ambiguous`: an earlier attempt began the step, and the
    /// ledger does not know how that ended.
    async fn send_step(&self, attempt: &mut Attempt<'_>, step: Step<'_>, ambiguous: bool) -> Result<(), Outcome> {
        let index = step.index;
        let ends_message = step.is_last() && attempt.needs_replies_only;
        let mut tried = Tried { unanswered: ambiguous, ..Tried::default() };
        if ambiguous && self.decide(index, "the record of its sending is missing") == Ambiguous::Skip {
            return attempt.lease.sent(index, ends_message).await;
        }
        loop {
            // The window is checked before the wait, so that a message does not wait in vain, and again after it, since
            // time has passed.
            self.windows.check(attempt)?;
            self.pauses.wait_out(attempt).await?;
            self.windows.check(attempt)?;
            let token = attempt.call_to_its_end(self.tokens.get(&attempt.account.appid)).await?;
            let sent = match &token {
                Ok(token) => self.try_step(attempt, step, token).await,
                Err(failure) => Err(failure.clone().into()),
            };
            let next = match sent {
                Ok(()) => return self.windows.record_sent(attempt, index, ends_message).await,
                Err(Miss::Outcome(outcome)) => return Err(outcome),
                Err(Miss::Failure(failure)) => {
                    self.weigh(attempt, index, failure, token.ok().as_ref(), &mut tried).await?
                }
            };
            match next {
                Next::Again => metrics::counter!(metric::RETRIES, "place" => "lane").increment(1),
                Next::GoOn => return attempt.lease.sent(index, ends_message).await,
            }
        }
    }

    async fn try_step(&self, attempt: &mut Attempt<'_>, step: Step<'_>, token: &SecretString) -> Result<(), Miss> {
        let Step { plan, index, reply } = step;
        let appid = &attempt.account.appid;
        let uploaded = match reply.picture() {
            Some((_, file)) => {
                let file = self.folder.join(file);
                // The disk of this picture may hang, and a hanging disk delays only the messages that need it.
                let digest = attempt.wait_if_long(self.uploads.digest(&file)).await??;
                let media_id = self.uploads.media_id(appid, &file, digest, token);
                Some(attempt.call_to_its_end(media_id).await??)
            }
            None => None,
        };
        let media_id = uploaded.as_ref().map(|uploaded| uploaded.media_id.as_str());
        let push = &attempt.envelope.push;
        let body = body::of(&push.from_user, push.business_id, appid, reply, media_id);

        attempt.lease.begin(plan, index).await?;
        measure_lag(attempt);
        let started = Instant::now();
        let sent = self.wechat.send(token, body).await;
        measure(reply, &sent, started.elapsed());
        let Err(failure) = sent else {
            self.pauses.forgive(appid);
            return Ok(());
        };
        if !matches!(failure, Failure::Unanswered(_)) {
            attempt.lease.not_sent(index).await?;
        }
        if let (Failure::Refused(Refusal { action: Action::ReuploadMedia, .. }), Some(uploaded)) = (&failure, &uploaded)
        {
            attempt.call_to_its_end(self.uploads.forget(appid, uploaded)).await?;
        }
        Err(failure.into())
    }

    /// Decides how to go on after a failure of the step, and waits where the decision is a wait.
    async fn weigh(
        &self,
        attempt: &mut Attempt<'_>,
        index: u32,
        failure: Failure,
        token: Option<&SecretString>,
        tried: &mut Tried,
    ) -> Result<Next, Outcome> {
        let refusal = match failure {
            Failure::Store(error) => return attempt.lease.sit_out(&error).await.map(|()| Next::Again),
            Failure::Passing(_) | Failure::File(_) => {
                let waited = attempt.back_off(in_words(&failure), Duration::ZERO).await;
                if let (Failure::File(_), Err(Outcome::Retry { error, .. })) = (&failure, &waited) {
                    tracing::error!(error, "a picture cannot be used");
                }
                return waited.map(|()| Next::Again);
            }
            Failure::Unanswered(_) if tried.unanswered => {
                metrics::counter!(metric::AMBIGUOUS_STEPS, "decision" => "give_up").increment(1);
                let error = format!("step {index} may have been sent, once or twice: {}", in_words(&failure));
                return Err(Outcome::dead(DeadReason::Exhausted, error));
            }
            Failure::Unanswered(_) => {
                tried.unanswered = true;
                return match self.decide(index, &in_words(&failure)) {
                    Ambiguous::Skip => Ok(Next::GoOn),
                    Ambiguous::Resend => attempt.pause(UNANSWERED_FOR).await.map(|()| Next::Again),
                };
            }
            Failure::Refused(refusal) => refusal,
        };
        let remedy = Remedy { tokens: &self.tokens, sends: &self.pauses, calls: &self.pauses };
        match remedy.apply(attempt, &refusal, token, &mut tried.remedies).await? {
            Verdict::Again => Ok(Next::Again),
            Verdict::Harmless => {
                tracing::warn!(error = %refusal, "the refusal does no harm to the reply and is ignored");
                Ok(Next::GoOn)
            }
            Verdict::MediaGone if !tried.uploaded_again => {
                tried.uploaded_again = true;
                Ok(Next::Again)
            }
            Verdict::MediaGone => Err(Outcome::dead(DeadReason::Refused, refusal.to_string())),
            Verdict::Closed(refused) => {
                self.windows.record_refusal(attempt, refused).await;
                Err(Outcome::dead(DeadReason::WindowClosed, refusal.to_string()))
            }
            Verdict::Refused { alert } => {
                if alert {
                    tracing::error!(error = %refusal, "WeChat refuses the reply for a fault that must be mended");
                }
                Err(Outcome::dead(DeadReason::Refused, refusal.to_string()))
            }
            Verdict::Unexplained => {
                tracing::error!(error = %refusal, "WeChat refuses the reply for an unexpected reason");
                Err(Outcome::dead(DeadReason::Refused, refusal.to_string()))
            }
        }
    }

    /// The configured choice for a step that may or may not have been sent.
    fn decide(&self, index: u32, why: &str) -> Ambiguous {
        let word = match self.ambiguous {
            Ambiguous::Resend => "resend",
            Ambiguous::Skip => "skip",
        };
        tracing::warn!(step = index, decision = word, why, "a reply may or may not have been sent");
        metrics::counter!(metric::AMBIGUOUS_STEPS, "decision" => word).increment(1);
        self.ambiguous
    }
}

fn measure_lag(attempt: &mut Attempt<'_>) {
    if std::mem::take(&mut attempt.first_send) {
        let lag_ms = clock::now_ms().saturating_sub(attempt.envelope.received_at_ms);
        metrics::histogram!(metric::QUEUE_LAG).record(lag_ms as f64 / 1_000.0);
    }
}

fn measure(reply: &Reply, sent: &Result<(), Failure>, took: Duration) {
    let outcome = match sent {
        Ok(()) => "ok",
        Err(Failure::Refused(_)) => "refused",
        Err(Failure::Unanswered(_)) => "unanswered",
        Err(_) => "failed",
    };
    metrics::counter!(metric::SENDS, "kind" => reply.kind(), "outcome" => outcome).increment(1);
    metrics::histogram!(metric::SEND_DURATION).record(took);
}

#[cfg(test)]
mod tests;
