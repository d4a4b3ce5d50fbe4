//! Decides the replies to a message. The replies come from the plan that an earlier attempt stored, from a team's
//! backend, from the push's rule, or from the webhook or assistant of that rule. The ledger stores a plan before any of
//! its replies is sent.

use std::sync::Arc;

use kefu_messages::plan::Plan;
use kefu_messages::reply::Reply;
use kefu_messages::rules::{Action, Rule};
use kefu_program::config::{Ambiguous, Config};

use crate::attempt::Attempt;
use crate::order::stay_behind;
use crate::outcome::Outcome;
use crate::send::window::UserWindows;

pub(crate) mod assistant;
mod outbound;
mod rule;
pub(crate) mod webhook;

use assistant::AssistantReplies;
use webhook::WebhookReplies;

/// Makes plans; all lanes share it.
pub(crate) struct Planner {
    config: Arc<Config>,
    windows: Arc<UserWindows>,
    pub(crate) webhooks: WebhookReplies,
    pub(crate) assistant: AssistantReplies,
}

impl Planner {
    pub(crate) fn new(
        config: Arc<Config>,
        windows: Arc<UserWindows>,
        webhooks: WebhookReplies,
        assistant: AssistantReplies,
    ) -> Self {
        Self { config, windows, webhooks, assistant }
    }

    /// The plan of the message, as the ledger stores it; `None` when the message gets no reply.
    pub(crate) async fn plan(&self, attempt: &mut Attempt<'_>) -> Result<Option<Plan>, Outcome> {
        if let Some(stored) = attempt.job.plan.take() {
            let plan = self.whole_if_replayed(attempt, stored).await?;
            // The worker that stored the plan may have died before it added the plan to the conversation.
            if attempt.job.next_step == 0 {
                self.assistant.remember(attempt, &plan).await?;
            }
            return Ok(Some(plan));
        }
        stay_behind(&attempt.place, attempt.envelope, attempt.timings.retry_total)?;
        let planned = match &attempt.envelope.send {
            Some(outbound) => Some(outbound::plan(outbound, &attempt.envelope.push, &self.config.window)?),
            None => self.by_rules(attempt).await?,
        };
        let Some(plan) = planned else { return Ok(None) };
        attempt.lease.store_plan(&plan).await?;
        self.assistant.remember(attempt, &plan).await?;
        Ok(Some(plan))
    }

    async fn by_rules(&self, attempt: &mut Attempt<'_>) -> Result<Option<Plan>, Outcome> {
        let (push, appid) = (&attempt.envelope.push, &attempt.account.appid);
        let rules = self.config.rules.current();
        // A push that ingress has answered does not come here. If ingress would have answered this push by these rules,
        // the push came too late for that, and gets the replies of the first other rule that matches.
        rule::tell_skipped(&rules, attempt);
        let Some(rule) = rules.decide_unanswered(appid, push) else { return Ok(None) };
        match rule.action() {
            Action::Reply(replies) => {
                let plan = self.fitted(attempt, rule::filled(rule, replies, push), rule);
                Ok(Some(plan).filter(|plan| !plan.steps.is_empty()))
            }
            Action::Webhook(endpoint) => {
                let replies = self.webhooks.replies(attempt, endpoint).await?;
                Ok(Some(self.fitted(attempt, replies, rule)))
            }
            Action::Assistant(briefing) => {
                let reply = self.assistant.reply(attempt, briefing).await?;
                Ok(reply.map(|reply| self.fitted(attempt, vec![reply], rule)))
            }
            Action::Transfer | Action::Ignore => Ok(None),
        }
    }

    /// The plan that sends these replies, as many as WeChat takes.
    fn fitted(&self, attempt: &Attempt<'_>, replies: Vec<Reply>, rule: &Rule) -> Plan {
        // A replay cuts nothing to the number of replies left: if WeChat does not take all of them, the message is a
        // dead letter again.
        let left = if attempt.replayed { None } else { self.windows.left(attempt) };
        rule::fitted(replies, &attempt.envelope.push, &self.config.window, left, rule.place())
    }

    /// The stored plan. In a replay the plan has the whole texts in place of those that were cut to fit the window. The
    /// ledger stores the whole texts before any of them is sent, so that an attempt after a crash sends the same
    /// replies.
    async fn whole_if_replayed(&self, attempt: &Attempt<'_>, plan: Plan) -> Result<Plan, Outcome> {
        if !attempt.replayed || plan.rests.is_empty() {
            return Ok(plan);
        }
        // An ambiguous step that the worker skips counts as sent, since the step was begun.
        let is_skipped = attempt.job.ambiguous && self.config.worker.ambiguous == Ambiguous::Skip;
        let whole = plan.whole(attempt.job.next_step + u32::from(is_skipped));
        attempt.lease.replace_plan(&whole).await?;
        Ok(whole)
    }
}
