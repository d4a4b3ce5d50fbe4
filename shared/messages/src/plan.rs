//! The plan of one message: the replies decided for the message.

use kefu_wechat::push::Push;
use serde::{Deserialize, Serialize};

use crate::reply::Reply;
use crate::reply::split::{self, Fitted, Rest};
use crate::window::Limits;

/// The replies decided for one message, in the order in which they are sent. The ledger stores the plan before the first
/// step is sent, so that another worker sends the same replies after a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One step for each send. Empty if the rule's webhook has nothing to say. If no rule matched, there is no plan.
    pub steps: Vec<Reply>,
    /// The rests of texts that were cut to fit the user's window, for a replay. An older worker ignores the field; an older
    /// plan lacks it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests: Vec<Rest>,
}

/// A plan made of replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The replies to send.
    pub plan: Plan,
    /// The number of sends that a text was cut for, if a text was cut.
    pub cut_for: Option<usize>,
}

impl Plan {
    /// The plan that replies to a push: long texts in parts, in no more sends than WeChat takes after such a push, and no
    /// more than `left`. The rest of a longer text is cut; only a blank reply is left out. `left` = 0 changes nothing: a
    /// message that is sent only after the user has written again is not cut to the replies that are left now.
    pub fn of(replies: Vec<Reply>, push: &Push, limits: &Limits, left: Option<u32>) -> Planned {
        let whole = limits.replies_after(push);
        let most = match left {
            None | Some(0) => whole,
            Some(left) => whole.min(left as usize),
        };
        let Fitted { steps, cut, rests } = split::fit(replies, most, whole);
        Planned { plan: Self { steps, rests }, cut_for: cut.then_some(most) }
    }

    /// The plan with its texts whole again, after the first `sent` steps were sent: these stay, and their missing rests
    /// come behind them.
    pub fn whole(self, sent: u32) -> Self {
        let Self { steps, rests } = self;
        Self { steps: split::restored(steps, &rests, sent as usize), rests: Vec::new() }
    }
}
