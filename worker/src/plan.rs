//! Decides the replies to a message: what an earlier attempt stored, what a team's backend sends, what the push's rule
//! says, or what the webhook or assistant of that rule answers. A plan is stored before any of it is sent.

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

    /// The plan of the message, as it is stored; `None` when nothing is to be sent.
    pub(crate) async fn plan(&self, attempt: &mut Attempt<'_>) -> Result<Option<Plan>, Outcome> {
        if let Some(stored) = attempt.job.plan.take() {
            let plan = self.whole_if_replayed(attempt, stored).await?;
            // Whoever stored it may have died before it was in the conversation.
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
        // A push that is answered already does not come here. A push that ingress would have answered by these rules is too
        // late for that, and gets what the rules say besides.
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

    /// The plan that sends these replies, no more of them than WeChat takes.
    fn fitted(&self, attempt: &Attempt<'_>, replies: Vec<Reply>, rule: &Rule) -> Plan {
        // In a replay nothing is cut to what is left: what WeChat does not take then is a dead letter again.
        let left = if attempt.replayed { None } else { self.windows.left(attempt) };
        rule::fitted(replies, &attempt.envelope.push, &self.config.window, left, rule.place())
    }

    /// The stored plan; in a replay with its texts whole that were cut to what was left of the window then. The whole texts
    /// are stored before any of them is sent, so that whoever goes on after a crash sends the same.
    async fn whole_if_replayed(&self, attempt: &Attempt<'_>, plan: Plan) -> Result<Plan, Outcome> {
        if !attempt.replayed || plan.rests.is_empty() {
            return Ok(plan);
        }
        // A step that is skipped for doubt counts as sent, as it was begun.
        let is_skipped = attempt.job.ambiguous && self.config.worker.ambiguous == Ambiguous::Skip;
        let whole = plan.whole(attempt.job.next_step + u32::from(is_skipped));
        attempt.lease.replace_plan(&whole).await?;
        Ok(whole)
    }
}
