//! The replies that a rule itself states.

use kefu_messages::plan::{Plan, Planned};
use kefu_messages::reply::{Reply, template};
use kefu_messages::rules::{Action, Rule, Rules};
use kefu_messages::window::Limits;
use kefu_wechat::push::Push;

use crate::attempt::Attempt;
use crate::metric;

/// The rule's replies with their placeholders filled in, without those replies that are blank then.
pub(super) fn filled(rule: &Rule, replies: &[Reply], push: &Push) -> Vec<Reply> {
    let filled = template::fill_all(replies, push);
    if filled.len() < replies.len() {
        tracing::warn!(rule = rule.place(), "a reply is left out: with its placeholders filled in it is blank");
    }
    filled
}

/// The plan that sends these replies: long texts in parts, and as many replies as WeChat takes. `left` is the number of
/// replies that WeChat still takes, if known, and `origin` names the source of the replies in the log.
pub(super) fn fitted(replies: Vec<Reply>, push: &Push, limits: &Limits, left: Option<u32>, origin: &str) -> Plan {
    let Planned { plan, cut_for } = Plan::of(replies, push, limits, left);
    if let Some(most) = cut_for {
        tracing::warn!(origin, most, "a text is cut: it has more parts of 2000 bytes than WeChat takes replies");
    }
    plan
}

/// Logs once that ingress and worker have different rules: by these rules ingress would have answered the push.
pub(super) fn tell_skipped(rules: &Rules, attempt: &Attempt<'_>) {
    let Some(rule) = rules.skipped(&attempt.account.appid, &attempt.envelope.push) else { return };
    if attempt.first_send && !attempt.place.has_left {
        let action = if *rule.action() == Action::Transfer { "transfer" } else { "webhook" };
        metrics::counter!(metric::SKIPPED_RULES, "action" => action).increment(1);
        tracing::warn!(
            rule = rule.place(),
            action,
            "the rule is passed over: it is for ingress, whose rules were others when the push came"
        );
    }
}
