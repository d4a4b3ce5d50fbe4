//! The plan of a message: what its rule says, or whom its rule asks.

use std::sync::Arc;

use kefu_messages::plan::{Plan, Planned};
use kefu_messages::reply::{Reply, template};
use kefu_messages::rules::{Action, Rule, Rules};

use crate::handle::Message;
use crate::lease::Lease;
use crate::metric;
use crate::outcome::Halt;

pub(crate) mod assistant;
mod outbound;
mod webhook;

use assistant::Assistant;
pub(crate) use webhook::AskedWebhooks;

/// Whom rules ask.
pub(crate) struct Asked {
    pub(crate) webhooks: AskedWebhooks,
    /// If there is an `[assistant]`.
    pub(crate) assistant: Option<Arc<Assistant>>,
}

impl Message<'_> {
    /// The replies that are to be sent; `None` when no rule says any.
    pub(crate) async fn plan(&mut self, hold: &Lease) -> Result<Option<Plan>, Halt> {
        let rules = self.handler.config.rules.current();
        // What is answered already does not come here. What was for ingress to do by other rules than these is too late
        // for that, and gets what the rules say besides.
        self.tell_skipped(&rules);
        let Some(rule) = rules.decide_unanswered(&self.account.appid, &self.envelope.push) else { return Ok(None) };
        match rule.action() {
            Action::Reply(replies) => Ok(self.plan_of_rule(rule, replies)),
            Action::Webhook(endpoint) => {
                let replies = self.ask_webhook(hold, endpoint).await?;
                Ok(Some(self.plan_of(replies, rule.place())))
            }
            Action::Assistant(briefing) => self.plan_by_assistant(hold, rule, briefing).await,
            Action::Transfer | Action::Ignore => Ok(None),
        }
    }

    /// The replies of a rule, for this push.
    fn plan_of_rule(&self, rule: &Rule, replies: &[Reply]) -> Option<Plan> {
        let filled = template::fill_all(replies, &self.envelope.push);
        if filled.len() < replies.len() {
            tracing::warn!(rule = rule.place(), "a reply is left out: with its placeholders filled in it is blank");
        }
        Some(self.plan_of(filled, rule.place())).filter(|plan| !plan.steps.is_empty())
    }

    /// Tells once that rules differ: by these, ingress would have answered the push.
    fn tell_skipped(&self, rules: &Rules) {
        let Some(rule) = rules.skipped(&self.account.appid, &self.envelope.push) else { return };
        if self.first_send && !self.place.has_left {
            let action = if *rule.action() == Action::Transfer { "transfer" } else { "webhook" };
            metrics::counter!(metric::SKIPPED_RULES, "action" => action).increment(1);
            tracing::warn!(
                rule = rule.place(),
                action,
                "the rule is passed over: it is for ingress, whose rules were others when the push came"
            );
        }
    }

    /// The plan that sends these replies: long texts in parts, no more of them than WeChat takes. `origin`: where they are
    /// from, for the log.
    pub(crate) fn plan_of(&self, replies: Vec<Reply>, origin: &str) -> Plan {
        let limits = &self.handler.config.window;
        // In a replay nothing is cut to what is left: what WeChat does not take then is a dead letter again.
        let left = if self.replayed { None } else { self.left_in_window() };
        let Planned { plan, cut_for } = Plan::of(replies, &self.envelope.push, limits, left);
        if let Some(most) = cut_for {
            tracing::warn!(origin, most, "a text is cut: it has more parts of 2000 bytes than WeChat takes replies");
        }
        plan
    }
}
