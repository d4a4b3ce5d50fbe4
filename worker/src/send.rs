//! One step of a plan: sent, or decided about, and recorded in the ledger.

use std::time::Duration;

use kefu_messages::reply::Reply;
use kefu_program::config::Ambiguous;
use kefu_queue::DeadReason;
use kefu_runtime::clock;
use tokio::time::Instant;

use crate::handle::Message;
use crate::lease::Lease;
use crate::metric;
use crate::outcome::Halt;
use crate::send::pauses::{Cause, PauseLength};
use crate::wechat::body;
use crate::wechat::errcode::Action;
use crate::wechat::failure::{Failure, Refusal};
use crate::wechat::token::Renewal;

pub(crate) mod pauses;
pub(crate) mod typing;
mod waits;
pub(crate) mod window;

pub(crate) use waits::RefusedTokens;

/// What was tried for a step already. Some remedies work once or not at all.
#[derive(Debug, Default)]
struct Tried {
    unanswered: bool,
    tokens: RefusedTokens,
    uploaded_again: bool,
    doubted: u32,
}

/// Why a try did not send the step.
enum Miss {
    Halt(Halt),
    /// With what became of the access_token, if that was refused.
    Failure(Failure, Option<Renewal>),
}

/// What to do next.
enum Next {
    Again,
    /// As if it had been sent.
    GoOn,
}

impl From<Halt> for Miss {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure, None)
    }
}

impl Message<'_> {
    /// Sends the step, with all the tries that it takes. `ambiguous`: an earlier handling began it, and how that ended is
    /// not known.
    pub(crate) async fn send_step(
        &mut self,
        hold: &Lease,
        index: u32,
        reply: &Reply,
        ambiguous: bool,
    ) -> Result<(), Halt> {
        let mut tried = Tried { unanswered: ambiguous, ..Tried::default() };
        if ambiguous && self.decide(index, "the record of its sending is missing") == Ambiguous::Skip {
            return hold.sent(index).await;
        }
        loop {
            // Before the wait, as a message must not wait for nothing; and after it, as it takes time.
            self.check_window()?;
            self.wait_while_paused(hold).await?;
            self.check_window()?;
            let next = match self.try_step(hold, index, reply).await {
                Ok(()) => return self.record_sent(hold, index).await,
                Err(Miss::Halt(halt)) => return Err(halt),
                Err(Miss::Failure(failure, renewal)) => self.weigh(hold, index, failure, renewal, &mut tried).await?,
            };
            match next {
                Next::Again => metrics::counter!(metric::RETRIES, "place" => "lane").increment(1),
                Next::GoOn => return hold.sent(index).await,
            }
        }
    }

    async fn try_step(&mut self, hold: &Lease, index: u32, reply: &Reply) -> Result<(), Miss> {
        let (handler, appid) = (self.handler, &self.account.appid);
        let token = hold.during(handler.tokens.get(appid)).await??;
        let sent = async {
            let uploaded = match reply.picture() {
                Some((_, file)) => {
                    let file = handler.config.folder.join(file);
                    // Its disk may hang, which holds up nobody who does not need it.
                    let digest = self.slot.leave_if_long(handler.uploads.digest(&file));
                    let digest = hold.during(self.interrupt.or(digest)).await???;
                    Some(hold.during(handler.uploads.media_id(appid, &file, digest, &token)).await??)
                }
                None => None,
            };
            let media_id = uploaded.as_ref().map(|uploaded| uploaded.media_id.as_str());
            let push = &self.envelope.push;
            let body = body::of(&push.from_user, push.business_id, appid, reply, media_id);

            hold.begin(index).await?;
            self.measure_lag();
            let started = Instant::now();
            let sent = handler.wechat.send(&token, body).await;
            measure(reply, &sent, started.elapsed());
            let Err(failure) = sent else {
                handler.pauses.forgive(appid);
                return Ok(());
            };
            if !matches!(failure, Failure::Unanswered(_)) {
                hold.not_sent(index).await?;
            }
            if let (Failure::Refused(Refusal { action: Action::ReuploadMedia, .. }), Some(uploaded)) =
                (&failure, &uploaded)
            {
                hold.during(handler.uploads.forget(appid, uploaded)).await?;
            }
            Err(failure.into())
        };
        match sent.await {
            Err(Miss::Failure(failure @ Failure::Refused(Refusal { action: Action::RenewToken, .. }), _)) => {
                let renewal = hold.during(handler.tokens.refuse(appid, &token)).await?;
                Err(Miss::Failure(failure, Some(renewal)))
            }
            sent => sent,
        }
    }

    /// Decides what a failure means for the step, and waits where that is a wait.
    async fn weigh(
        &mut self,
        hold: &Lease,
        index: u32,
        failure: Failure,
        renewal: Option<Renewal>,
        tried: &mut Tried,
    ) -> Result<Next, Halt> {
        let refusal = match failure {
            Failure::Store(error) => {
                hold.during(self.handler.outage.sit_out(&self.interrupt, &error)).await??;
                return Ok(Next::Again);
            }
            Failure::File(_) => {
                let waited = self.back_off(hold, &failure).await;
                if let Err(Halt::Later { .. }) = waited {
                    tracing::error!(error = %failure, "a picture cannot be used");
                }
                return waited;
            }
            Failure::Passing(_) => return self.back_off(hold, &failure).await,
            Failure::Unanswered(_) if tried.unanswered => {
                let decision = "give_up";
                metrics::counter!(metric::AMBIGUOUS_STEPS, "decision" => decision).increment(1);
                let error = format!("step {index} may have been sent, once or twice: {failure}");
                return Err(Halt::dead(DeadReason::Exhausted, error));
            }
            Failure::Unanswered(_) => {
                tried.unanswered = true;
                return match self.decide(index, &failure.to_string()) {
                    Ambiguous::Skip => Ok(Next::GoOn),
                    Ambiguous::Resend => self.pause(hold, self.handler.timings.unanswered).await.map(|()| Next::Again),
                };
            }
            Failure::Refused(refusal) => refusal,
        };
        match refusal.action {
            Action::Ok | Action::Ignore => {
                tracing::warn!(error = %refusal, "ignored");
                Ok(Next::GoOn)
            }
            Action::RenewToken => {
                self.wait_for_token(hold, &refusal, renewal, &mut tried.tokens).await.map(|()| Next::Again)
            }
            Action::Retry => self.back_off(hold, &Failure::Refused(refusal)).await,
            Action::ReuploadMedia if !tried.uploaded_again => {
                tried.uploaded_again = true;
                Ok(Next::Again)
            }
            Action::ReuploadMedia => Err(Halt::dead(DeadReason::Refused, refusal.to_string())),
            Action::Slow { pause } => {
                // The loop waits it out, as do the account's other lanes.
                self.pause_account(Cause::Rate, PauseLength::Fixed(pause), refusal.to_string());
                Ok(Next::Again)
            }
            Action::Alert { pause } => {
                Err(self.pause_account(Cause::Operator, PauseLength::Fixed(pause), refusal.to_string()))
            }
            Action::Closed(refused) => {
                self.record_refusal(refused).await;
                Err(Halt::dead(DeadReason::WindowClosed, refusal.to_string()))
            }
            Action::Drop { alert } => {
                if alert {
                    tracing::error!(error = %refusal, "WeChat refuses the reply for a fault that must be mended");
                }
                Err(Halt::dead(DeadReason::Refused, refusal.to_string()))
            }
            Action::Doubtful { retries } if tried.doubted < retries => {
                tried.doubted += 1;
                self.back_off(hold, &Failure::Refused(refusal)).await
            }
            Action::Doubtful { .. } => {
                tracing::error!(error = %refusal, "WeChat refuses the reply for an unexpected reason");
                Err(Halt::dead(DeadReason::Refused, refusal.to_string()))
            }
        }
    }

    /// The configured answer to a step that may or may not have been sent.
    fn decide(&self, index: u32, why: &str) -> Ambiguous {
        let decision = self.handler.config.worker.ambiguous;
        let word = match decision {
            Ambiguous::Resend => "resend",
            Ambiguous::Skip => "skip",
        };
        tracing::warn!(step = index, decision = word, why, "a reply may or may not have been sent");
        metrics::counter!(metric::AMBIGUOUS_STEPS, "decision" => word).increment(1);
        decision
    }

    fn measure_lag(&mut self) {
        if std::mem::take(&mut self.first_send) {
            let lag_ms = clock::now_ms().saturating_sub(self.envelope.received_at_ms);
            metrics::histogram!(metric::QUEUE_LAG).record(lag_ms as f64 / 1_000.0);
        }
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
