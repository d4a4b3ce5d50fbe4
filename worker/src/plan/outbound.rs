//! The plan of a message that a team's own backend sends.

use kefu_messages::outbound::Outbound;
use kefu_messages::plan::Plan;
use kefu_messages::window::Limits;
use kefu_queue::DeadReason;
use kefu_wechat::push::Push;

use crate::outcome::Outcome;

/// The backend's replies unchanged, long texts in parts; no rule has a say. Ingress checked the replies when it
/// accepted the message, but the queue may hold a message from before an upgrade, or from another program.
pub(super) fn plan(outbound: &Outbound, push: &Push, limits: &Limits) -> Result<Plan, Outcome> {
    match outbound.problems(limits.message_replies, None).as_slice() {
        // The plan ignores how many replies are left, so that it cuts nothing. The backend learns when WeChat does not
        // take all of the replies, and can have the rest sent later.
        [] => Ok(Plan::of(outbound.replies.clone(), push, limits, None).plan),
        problems => Err(Outcome::dead(DeadReason::Refused, problems.join("; "))),
    }
}

#[cfg(test)]
mod tests;
