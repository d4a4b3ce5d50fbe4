//! The plan of a message: what its rule says.

use kefu_shared::plan::Plan;
use kefu_shared::rules::{Action, Rule};

use crate::message::Message;

impl Message<'_> {
    /// The replies that are to be sent; `None` when none are.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let rules = self.handler.config.rules.current();
        // What is answered already does not come here. What was to be transferred by other rules than these is too late
        // for that, and gets what the rules say besides.
        match rules.decide_unanswered(&self.account.appid, &self.envelope.push).map(Rule::action) {
            Some(Action::Reply(replies)) => Some(Plan { steps: replies.clone() }),
            Some(Action::Transfer | Action::Ignore) | None => None,
        }
    }
}
