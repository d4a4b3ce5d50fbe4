//! The decision how ingress answers a push. Ingress makes the decision before the push is stored.

use std::collections::BTreeSet;

use kefu_messages::envelope::Answered;
use kefu_messages::rules::{Endpoint, Rules};
use kefu_wechat::event_answer::EventAnswer;
use kefu_wechat::passive_reply;
use kefu_wechat::push::Push;
use parking_lot::Mutex;

use crate::answer::now_s;
use crate::metric;

/// How ingress answers a push. Ingress decides for the push's first copy, and the other copies get the same answer.
///
/// The texts in a decision are not encrypted: ingress seals the answer to each copy anew.
#[derive(Clone, PartialEq, Eq)]
pub enum Decision {
    /// The answer is `success`.
    Success,
    /// The answer is this transfer to the human agents, because a rule says so.
    Transfer(String),
    /// The answer is this text, which WeChat's documentation asks for after such an event. No rule decided this answer,
    /// so the worker asks the rules what else to do.
    EventAnswer(String),
    /// The answer is `success`, although WeChat wants a decision about this event: no rule makes a decision.
    Undecided(&'static str),
    /// The answer is the text that the synchronous webhook at this endpoint returns.
    Ask(Endpoint),
}

impl Decision {
    /// Decides about a push to the account `appid`. A transfer gets the current time as its creation time.
    pub fn of(rules: &Rules, appid: &str, push: &Push) -> Self {
        if let Some(endpoint) = rules.synchronous(appid, push) {
            return Self::Ask(endpoint.clone());
        }
        match push.event().map(EventAnswer::to) {
            Some(EventAnswer::Success) => Self::Success,
            Some(EventAnswer::Body(body)) => Self::EventAnswer(body.text(push.format).to_owned()),
            Some(EventAnswer::Decision { event }) => Self::Undecided(event),
            None if rules.transfers(appid, push) => Self::Transfer(passive_reply::transfer(push, now_s())),
            None => Self::Success,
        }
    }

    /// The envelope's note about the answer. The note is set only where the answer is all that there is to do.
    pub(crate) fn answered(&self) -> Option<Answered> {
        match self {
            Self::Transfer(_) => Some(Answered::Transfer),
            Self::Ask(_) => Some(Answered::Webhook),
            Self::Success | Self::EventAnswer(_) | Self::Undecided(_) => None,
        }
    }
}

/// Reports the events that ingress acknowledged although WeChat wanted a decision: counts each, and warns once for each
/// name.
#[derive(Default)]
pub(crate) struct UndecidedEvents(Mutex<BTreeSet<&'static str>>);

impl UndecidedEvents {
    pub(crate) fn note(&self, event: &'static str) {
        metric::undecided(event);
        if self.0.lock().insert(event) {
            tracing::warn!(
                event,
                "WeChat wants a decision in the answer to this event, and no rule makes one: the answer is only success"
            );
        }
    }
}
