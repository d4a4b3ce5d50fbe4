//! The way of a message: claim, plan, steps, picture, done.

use std::sync::Arc;
use std::time::Duration;

use kefu_messages::envelope::Answered;
use kefu_messages::plan::Plan;
use kefu_messages::session::UserKey;
use kefu_program::config::Ambiguous;
use kefu_store::{Job, LedgerClaim};
use tokio::time::Instant;

use super::Message;
use crate::lease::Lease;
use crate::outcome::Halt;
use crate::settle::End;

impl Message<'_> {
    pub(super) async fn process(mut self) -> Result<End, Halt> {
        if let Some(answered) = self.envelope.answered {
            return self.keep_answered(answered).await;
        }
        let (handler, envelope, interrupt) = (self.handler, self.envelope, self.interrupt.clone());
        let user = UserKey::of(envelope);
        let open_window = || handler.open_window(envelope);
        let find_place = || handler.order.place(&user, &envelope.key);
        // Side by side, so that it takes no longer; again only once the store is known to be there.
        let (claimed, opened, placed) = tokio::join!(self.claim(), open_window(), find_place());
        let claimed = match claimed {
            Err(halt @ Halt::Later { .. }) => {
                return Err(handler.leave_lane(envelope, self.begun, &interrupt).await.err().unwrap_or(halt));
            }
            claimed => claimed?,
        };
        let Some((hold, job)) = claimed else {
            // The worker that sent it may have died before it said so.
            self.place = placed.unwrap_or_default();
            self.end_absence().await;
            return Ok(End::Duplicate);
        };
        let known = async {
            let window = match opened {
                Ok(window) => window,
                Err(_) => handler.outage.outlast(&interrupt, open_window).await?,
            };
            let place = match placed {
                Ok(place) => place,
                Err(_) => handler.outage.outlast(&interrupt, find_place).await?,
            };
            Ok((window, place))
        };
        let sent = match known.await {
            Ok((window, place)) => {
                (self.window, self.place) = (window, place);
                self.send_plan(&hold, job).await
            }
            Err(halt) => Err(halt),
        };
        let sent = match sent {
            Err(halt @ (Halt::Later { .. } | Halt::Postponed { .. })) => {
                Err(handler.leave_lane(envelope, self.begun, &interrupt).await.err().unwrap_or(halt))
            }
            sent => sent,
        };
        let result = self.conclude_with_picture(&hold, sent).await;
        if result.is_ok() {
            self.end_absence().await;
        }
        if matches!(result, Err(Halt::Later { .. } | Halt::Postponed { .. } | Halt::Dead { .. } | Halt::Interrupted)) {
            hold.release().await;
        }
        result
    }

    /// Keeps the picture, whatever became of the replies: the message may not come again. Done is what needs nothing more.
    async fn conclude_with_picture(&mut self, hold: &Lease, sent: Result<End, Halt>) -> Result<End, Halt> {
        if let Err(halt @ (Halt::Fenced | Halt::Interrupted)) = sent {
            return Err(halt);
        }
        match (sent, self.keep_picture(hold).await) {
            (Ok(end), Ok(())) => hold.done().await.map(|()| end),
            (Ok(_), Err(halt)) | (Err(halt), Ok(())) => Err(halt),
            (Err(halt), Err(not_kept)) => Err(halt.and("its picture is not kept", &not_kept)),
        }
    }

    /// Keeps the picture of a push that ingress has answered, without a word to the ledger about the message itself.
    async fn keep_answered(&mut self, answered: Answered) -> Result<End, Halt> {
        self.handler.note_answered(self.envelope, answered, &self.interrupt).await?;
        let Some((hold, _)) = self.claim().await? else { return Ok(End::Answered) };
        let kept = self.keep_picture(&hold).await;
        hold.release().await;
        kept.map(|()| End::Answered)
    }

    /// Claims the message in the ledger; `None` when all of it is sent already.
    async fn claim(&mut self) -> Result<Option<(Lease, Job)>, Halt> {
        let handler = self.handler;
        let (key, lease, keep_for) = (&self.envelope.key, handler.lease(), handler.timings.keep_for);
        // A worker that died loses its lease within that time. One that lives on and renews it also works in its lane.
        let give_up_at = Instant::now() + lease + handler.timings.retry_total;
        loop {
            let call = || handler.ledger.claim(key, &handler.id, lease, keep_for);
            match handler.outage.outlast(&self.interrupt, call).await? {
                LedgerClaim::Done => return Ok(None),
                LedgerClaim::Claimed(job) => {
                    let hold = Lease {
                        ledger: Arc::clone(&handler.ledger),
                        outage: Arc::clone(&handler.outage),
                        interrupt: self.interrupt.clone(),
                        key: key.clone(),
                        fence: job.fence,
                        lease,
                        keep_for,
                    };
                    return Ok(Some((hold, job)));
                }
                LedgerClaim::Leased { .. } if Instant::now() >= give_up_at => {
                    return Err(Halt::later("another worker holds the message"));
                }
                LedgerClaim::Leased { for_at_most } => {
                    let wait = for_at_most.clamp(Duration::from_millis(1), handler.timings.lease_poll);
                    self.interrupt.or(self.slot.leave_for(tokio::time::sleep(wait))).await?;
                }
            }
        }
    }

    async fn send_plan(&mut self, hold: &Lease, job: Job) -> Result<End, Halt> {
        let plan = match job.plan {
            Some(plan) => {
                let plan = self.whole_if_replayed(hold, plan, job.next_step, job.ambiguous).await?;
                // Whoever stored it may have died before it was in the conversation.
                if job.next_step == 0 {
                    self.remember(&plan).await?;
                }
                plan
            }
            None => {
                self.stay_behind()?;
                let planned = match &self.envelope.send {
                    Some(outbound) => Some(self.plan_of_send(outbound)?),
                    None => self.plan(hold).await?,
                };
                let Some(plan) = planned else { return Ok(End::Ignored) };
                hold.store_plan(&plan).await?;
                self.remember(&plan).await?;
                plan
            }
        };
        self.first_send &= job.next_step == 0;
        for (index, reply) in (0_u32..).zip(&plan.steps).skip(job.next_step as usize) {
            let ambiguous = job.ambiguous && index == job.next_step;
            self.send_step(hold, index, reply, ambiguous).await?;
            self.backoff.shorten();
        }
        Ok(End::Done)
    }

    /// The stored plan; in a replay with its texts whole that were cut to what was left of the window then. It is stored
    /// before any of it is sent, so that whoever goes on after a crash sends the same.
    async fn whole_if_replayed(&self, hold: &Lease, plan: Plan, next_step: u32, ambiguous: bool) -> Result<Plan, Halt> {
        if !self.replayed || plan.rests.is_empty() {
            return Ok(plan);
        }
        // A step that is skipped for doubt counts as sent, as it was begun.
        let is_skipped = ambiguous && self.handler.config.worker.ambiguous == Ambiguous::Skip;
        let whole = plan.whole(next_step + u32::from(is_skipped));
        hold.replace_plan(&whole).await?;
        Ok(whole)
    }
}
