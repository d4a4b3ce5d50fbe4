//! One step of a plan: sent, or decided about, and recorded in the ledger.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kefu_shared::config::Ambiguous;
use kefu_shared::queue::DeadReason;
use kefu_shared::rules::reply::Reply;
use tokio::time::Instant;

use crate::halt::Halt;
use crate::hold::Hold;
use crate::message::Message;
use crate::metric;
use crate::pauses::{Begun, Cause, PauseLength};
use crate::wechat::body;
use crate::wechat::errcode::Action;
use crate::wechat::failure::{Failure, Refusal};

/// What was tried for a step already. Some remedies work once or not at all.
#[derive(Debug, Default)]
struct Tried {
    unanswered: bool,
    refused_tokens: usize,
    uploaded_again: bool,
    doubted: u32,
}

/// How often a message waits for the account's rate limit in its lane.
const MAX_SLOWED: u32 = 2;

/// Why a try did not send the step.
enum Miss {
    Halt(Halt),
    Failure(Failure),
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
        Self::Failure(failure)
    }
}

impl Message<'_> {
    /// Sends the step, with all the tries that it takes. `ambiguous`: an earlier handling began it, and how that ended is
    /// not known.
    pub(crate) async fn send_step(
        &mut self,
        hold: &Hold,
        index: u32,
        reply: &Reply,
        ambiguous: bool,
    ) -> Result<(), Halt> {
        let mut tried = Tried { unanswered: ambiguous, ..Tried::default() };
        if ambiguous && self.decide(index, "the record of its sending is missing") == Ambiguous::Skip {
            return hold.sent(index).await;
        }
        loop {
            self.wait_while_paused(hold).await?;
            let next = match self.try_step(hold, index, reply).await {
                Ok(()) => Next::GoOn,
                Err(Miss::Halt(halt)) => return Err(halt),
                Err(Miss::Failure(failure)) => self.weigh(hold, index, failure, &mut tried).await?,
            };
            match next {
                Next::Again => metrics::counter!(metric::RETRIES, "place" => "lane").increment(1),
                Next::GoOn => return hold.sent(index).await,
            }
        }
    }

    async fn try_step(&mut self, hold: &Hold, index: u32, reply: &Reply) -> Result<(), Miss> {
        let (handler, appid) = (self.handler, &self.account.appid);
        let token = hold.during(handler.tokens.get(appid)).await??;
        let sent = async {
            let picture = match reply {
                Reply::Text(_) | Reply::Link(_) => None,
                Reply::Image(file) => Some(file),
                Reply::Miniprogrampage(card) => Some(&card.thumb),
            };
            let uploaded = match picture {
                Some(file) => {
                    let file = handler.config.rules.file(file);
                    Some(hold.during(handler.pictures.media_id(appid, &file, &token)).await??)
                }
                None => None,
            };
            let media_id = uploaded.as_ref().map(|uploaded| uploaded.media_id.as_str());
            let body = body::of(&self.envelope.push.from_user, appid, reply, media_id);

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
                hold.during(handler.pictures.forget(appid, uploaded)).await?;
            }
            Err(Miss::Failure(failure))
        };
        let sent = sent.await;
        if let Err(Miss::Failure(Failure::Refused(Refusal { action: Action::RenewToken, .. }))) = &sent {
            hold.during(handler.tokens.refuse(appid, &token)).await?;
        }
        sent
    }

    /// Decides what a failure means for the step, and waits where that is a wait.
    async fn weigh(&mut self, hold: &Hold, index: u32, failure: Failure, tried: &mut Tried) -> Result<Next, Halt> {
        let refusal = match failure {
            Failure::Store(error) => {
                hold.during(self.handler.outage.sit_out(&self.interrupt, &error)).await??;
                return Ok(Next::Again);
            }
            Failure::File(_) => {
                tracing::error!(error = %failure, "a picture cannot be used");
                return Err(Halt::later(failure.to_string()));
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
                if let Some(wait) = self.handler.timings.token_refused.get(tried.refused_tokens) {
                    tried.refused_tokens += 1;
                    return self.pause(hold, *wait).await.map(|()| Next::Again);
                }
                let why = format!(
                    "{refusal}; so is one that was fetched a moment before: see that every program that fetches \
                     access_tokens of the account uses stable_token, and that the AppSecret was not reset"
                );
                Err(self.pause_account(Cause::Operator, PauseLength::Growing, why))
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
            Action::Drop { reason, alert } => {
                if alert {
                    tracing::error!(error = %refusal, "WeChat refuses the reply for a fault that must be mended");
                }
                Err(Halt::dead(reason, refusal.to_string()))
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

    async fn back_off(&mut self, hold: &Hold, failure: &Failure) -> Result<Next, Halt> {
        match self.backoff.next(Instant::now()) {
            Some(wait) => {
                tracing::debug!(error = %failure, ?wait, "trying again");
                self.pause(hold, wait).await.map(|()| Next::Again)
            }
            None => Err(Halt::later(failure.to_string())),
        }
    }

    async fn wait_while_paused(&mut self, hold: &Hold) -> Result<(), Halt> {
        while let Some(pause) = self.handler.pauses.of(&self.account.appid) {
            let remaining = pause.until.saturating_duration_since(Instant::now());
            let too_long = remaining > self.handler.timings.retry_total || self.slowed >= MAX_SLOWED;
            if pause.cause == Cause::Operator || too_long {
                return Err(Halt::Paused {
                    at_least: remaining,
                    error: format!("the account is paused: {}", pause.why),
                });
            }
            self.slowed += 1;
            // Spread out: all the account's lanes are waiting for the same moment.
            let jitter = rand::random_range(Duration::ZERO..=remaining / 4);
            self.pause(hold, remaining + jitter).await?;
        }
        Ok(())
    }

    /// Pauses the account, and returns what that means for the message if it does not wait in its lane.
    fn pause_account(&self, cause: Cause, length: PauseLength, error: String) -> Halt {
        let appid = &self.account.appid;
        let Begun { news, lasts } = self.handler.pauses.begin(appid, cause, length, &error);
        match cause {
            _ if !news => {}
            Cause::Rate => tracing::warn!(account = appid, pause = ?lasts, error, "the account's sends pause"),
            Cause::Operator => {
                tracing::error!(account = appid, pause = ?lasts, error, "the account's sends pause: act")
            }
        }
        Halt::Paused { at_least: lasts, error }
    }

    /// Waits without a slot, with the lease kept, until an interruption.
    async fn pause(&mut self, hold: &Hold, wait: Duration) -> Result<(), Halt> {
        let wait = hold.during(self.interrupt.or(tokio::time::sleep(wait)));
        self.slot.leave_for(wait).await?
    }

    fn measure_lag(&mut self) {
        if std::mem::take(&mut self.first_send) {
            let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
            let lag_ms = now_ms.saturating_sub(self.envelope.received_at_ms);
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
