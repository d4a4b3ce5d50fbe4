//! The plan of one message: the replies decided for it.

use kefu_wechat::push::Push;
use serde::{Deserialize, Serialize};

use crate::reply::Reply;
use crate::reply::split::{self, Fitted, Rest};
use crate::window::Limits;

/// The replies decided for one message, in the order in which they are sent. It is stored in the ledger before the
/// first is sent, so that whoever goes on after a crash sends the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One step a send. Empty when the rule's webhook has nothing to say; where no rule matched there is no plan.
    pub steps: Vec<Reply>,
    /// The rests of texts that were cut to fit the user's window, for a replay. An older worker ignores the field; an older
    /// plan lacks it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests: Vec<Rest>,
}

/// A plan that was made of replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What is sent.
    pub plan: Plan,
    /// For how many sends a text was cut, if one was.
    pub cut_for: Option<usize>,
}

impl Plan {
    /// The plan that replies to a push: long texts in parts, in no more sends than WeChat takes after such a push, nor than
    /// `left`. What a text has beyond that is cut; no reply is left out but a blank one. `left` = 0 changes nothing: what is
    /// sent only when the user has written again is not cut for that.
    pub fn of(replies: Vec<Reply>, push: &Push, limits: &Limits, left: Option<u32>) -> Planned {
        let whole = limits.replies_after(push);
        let most = match left {
            None | Some(0) => whole,
            Some(left) => whole.min(left as usize),
        };
        let Fitted { steps, cut, rests } = split::fit(replies, most, whole);
        Planned { plan: Self { steps, rests }, cut_for: cut.then_some(most) }
    }

    /// The plan with its texts whole again, of which the first `sent` steps are sent: these stay as they are, and what they
    /// lack comes behind them.
    pub fn whole(self, sent: u32) -> Self {
        let Self { steps, rests } = self;
        Self { steps: split::restored(steps, &rests, sent as usize), rests: Vec::new() }
    }
}
