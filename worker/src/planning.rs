//! The plan of a message: what its rule says.

use kefu_shared::plan::Plan;
use kefu_shared::rules::{Action, Rule};

use crate::message::Message;

impl Message<'_> {
    /// The replies that are to be sent; `None` when none are.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let rules = self.handler.config.rules.current();
        match rules.decide(&self.account.appid, &self.envelope.push).map(Rule::action) {
            Some(Action::Reply(replies)) => Some(Plan { steps: replies.clone() }),
            Some(Action::Ignore) | None => None,
        }
    }
}
