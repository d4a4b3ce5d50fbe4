//! The plan of a message: what its rule says.

use kefu_shared::plan::Plan;
use kefu_shared::reply::split::{self, Fitted};
use kefu_shared::reply::{Reply, template};
use kefu_shared::rules::{Action, Rule};

use crate::message::Message;

impl Message<'_> {
    /// The replies that are to be sent; `None` when none are.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let rules = self.handler.config.rules.current();
        // What is answered already does not come here. What was to be transferred by other rules than these is too late
        // for that, and gets what the rules say besides.
        let rule = rules.decide_unanswered(&self.account.appid, &self.envelope.push)?;
        match rule.action() {
            Action::Reply(replies) => self.plan_of_rule(rule, replies),
            Action::Transfer | Action::Ignore => None,
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

    /// The plan that sends these replies: long texts in parts, no more of them than WeChat takes. `origin`: where they are
    /// from, for the log.
    pub(crate) fn plan_of(&self, replies: Vec<Reply>, origin: &str) -> Plan {
        let most = self.envelope.push.most_replies(&self.handler.config.window);
        let Fitted { steps, cut } = split::fit(replies, most);
        if cut {
            tracing::warn!(origin, most, "a text is cut: it has more parts of 2000 bytes than WeChat takes replies");
        }
        Plan { steps }
    }
}
