//! The plan of a message that a team's own backend sends.

use kefu_messages::outbound::Outbound;
use kefu_messages::plan::Plan;
use kefu_messages::window::Limits;
use kefu_queue::DeadReason;
use kefu_wechat::push::Push;

use crate::outcome::Outcome;

/// The replies as they came, long texts in parts; no rule has a say. Ingress checked them when it accepted the message; the
/// queue may have kept them since before an upgrade, or have them from another program.
pub(super) fn plan(outbound: &Outbound, push: &Push, limits: &Limits) -> Result<Plan, Outcome> {
    match outbound.problems(limits.message_replies, None).as_slice() {
        // Whatever is left, so that nothing is cut: the backend is told when WeChat does not take all of it, and can have
        // the rest sent later.
        [] => Ok(Plan::of(outbound.replies.clone(), push, limits, None).plan),
        problems => Err(Outcome::dead(DeadReason::Refused, problems.join("; "))),
    }
}

#[cfg(test)]
mod tests;
