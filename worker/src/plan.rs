//! Decides the replies to a message. The replies come from the plan that an earlier attempt stored, from a team's
//! backend, from the push's rule, or from the webhook or assistant of that rule. The ledger stores a plan before any of
//! its replies is sent: the answer of a webhook or an assistant at once, since another answer would cost another call, and
//! perhaps differ; any other plan with the begin of its first step, which saves a round trip.

use std::sync::Arc;

use kefu_messages::outbound::Outbound;
use kefu_messages::plan::{Plan, Planned};
use kefu_messages::reply::{Reply, template};
use kefu_messages::rules::{Action, Rule, Rules};
use kefu_program::config::{Ambiguous, Config};
use kefu_queue::DeadReason;
use kefu_wechat::push::Push;

use crate::attempt::Attempt;
use crate::metric;
use crate::order::stay_behind;
use crate::outcome::Outcome;
use crate::send::window::UserWindows;

pub(crate) mod assistant;
pub(crate) mod webhook;

use assistant::AssistantReplies;
use webhook::WebhookReplies;

/// Makes plans; all lanes share it.
pub(crate) struct Planner {
    pub(crate) config: Arc<Config>,
    pub(crate) windows: Arc<UserWindows>,
    pub(crate) webhooks: WebhookReplies,
    pub(crate) assistant: AssistantReplies,
}

impl Planner {
    /// The plan of the message; `None` when the message gets no reply. [`Lease::begin`](crate::lease::Lease::begin) stores
    /// the plan if the ledger does not have it yet.
    pub(crate) async fn plan(&self, attempt: &mut Attempt<'_>) -> Result<Option<Plan>, Outcome> {
        if let Some(stored) = attempt.job.plan.take() {
            let plan = self.whole_if_replayed(attempt, stored).await?;
            // The worker that stored the plan may have died before it added the plan to the conversation.
            if attempt.job.next_step == 0 {
                self.assistant.remember(attempt, &plan).await?;
            }
            return Ok(Some(plan));
        }
        stay_behind(&attempt.place, attempt.envelope)?;
        let planned = match &attempt.envelope.send {
            Some(outbound) => Some(self.of_outbound(outbound, &attempt.envelope.push)?),
            None => self.by_rules(attempt).await?,
        };
        let Some(plan) = planned else { return Ok(None) };
        self.assistant.remember(attempt, &plan).await?;
        Ok(Some(plan))
    }

    /// The backend's replies unchanged, long texts in parts; no rule has a say. Ingress checked the replies when it
    /// accepted the message, but the queue may hold a message from before an upgrade, or from another program.
    fn of_outbound(&self, outbound: &Outbound, push: &Push) -> Result<Plan, Outcome> {
        let limits = &self.config.window;
        match outbound.problems(limits.message_replies, None).as_slice() {
            // The plan ignores how many replies are left, so that it cuts nothing. The backend learns when WeChat does
            // not take all of the replies, and can have the rest sent later.
            [] => Ok(Plan::of(outbound.replies.clone(), push, limits, None).plan),
            problems => Err(Outcome::dead(DeadReason::Refused, problems.join("; "))),
        }
    }

    async fn by_rules(&self, attempt: &mut Attempt<'_>) -> Result<Option<Plan>, Outcome> {
        let (push, appid) = (&attempt.envelope.push, &attempt.account.appid);
        let rules = self.config.rules.current();
        // A push that ingress has answered does not come here. If ingress would have answered this push by these rules,
        // the push came too late for that, and gets the replies of the first other rule that matches.
        tell_skipped(&rules, attempt);
        let Some(rule) = rules.decide_unanswered(appid, push) else { return Ok(None) };
        match rule.action() {
            Action::Reply(replies) => {
                let plan = self.fitted(attempt, filled(rule, replies, push), rule);
                Ok(Some(plan).filter(|plan| !plan.steps.is_empty()))
            }
            Action::Webhook(endpoint) => {
                let replies = self.webhooks.replies(attempt, endpoint).await?;
                self.stored(attempt, self.fitted(attempt, replies, rule)).await.map(Some)
            }
            Action::Assistant(briefing) => {
                let Some(reply) = self.assistant.reply(attempt, briefing).await? else { return Ok(None) };
                self.stored(attempt, self.fitted(attempt, vec![reply], rule)).await.map(Some)
            }
            Action::Transfer | Action::Ignore => Ok(None),
        }
    }

    /// The plan that sends the rule's replies: long texts in parts, and as many replies as WeChat takes.
    fn fitted(&self, attempt: &Attempt<'_>, replies: Vec<Reply>, rule: &Rule) -> Plan {
        // A replay cuts nothing to the number of replies left: if WeChat does not take all of them, the message is a
        // dead letter again.
        let left = if attempt.replayed { None } else { self.windows.left(attempt) };
        let Planned { plan, cut_for } = Plan::of(replies, &attempt.envelope.push, &self.config.window, left);
        if let Some(most) = cut_for {
            let origin = rule.place();
            tracing::warn!(origin, most, "a text is cut: it has more parts of 2000 bytes than WeChat takes replies");
        }
        plan
    }

    /// The plan, once the ledger has it.
    async fn stored(&self, attempt: &mut Attempt<'_>, plan: Plan) -> Result<Plan, Outcome> {
        attempt.lease.store_plan(&plan).await?;
        Ok(plan)
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

/// The rule's replies with their placeholders filled in, without those replies that are blank then.
fn filled(rule: &Rule, replies: &[Reply], push: &Push) -> Vec<Reply> {
    let filled = template::fill_all(replies, push);
    if filled.len() < replies.len() {
        tracing::warn!(rule = rule.place(), "a reply is left out: with its placeholders filled in it is blank");
    }
    filled
}

/// Logs once that ingress and worker have different rules: by these rules ingress would have answered the push.
fn tell_skipped(rules: &Rules, attempt: &Attempt<'_>) {
    let Some(rule) = rules.skipped(&attempt.account.appid, &attempt.envelope.push) else { return };
    if attempt.first_send && !attempt.place.has_left {
        let action = if *rule.action() == Action::Transfer { "transfer" } else { "webhook" };
        metrics::counter!(metric::SKIPPED_RULES, "action" => action).increment(1);
        tracing::warn!(
            rule = rule.place(),
            action,
            "the rule is skipped: ingress acts on this rule, and had other rules when the push came"
        );
    }
}

#[cfg(test)]
mod tests;
