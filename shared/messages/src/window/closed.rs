//! Why nothing is sent to a user now.

use std::fmt;

use super::{Limits, Opening};

/// Why a window is closed; its text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub(super) opening: Opening,
    /// The age of the opening, in seconds.
    pub(super) age_s: u64,
    pub(super) why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    OutOfCount { sent: u32, replies: u32 },
    OutOfTime { seconds: u64 },
    WeChatSaidOutOfCount,
    WeChatSaidOutOfTime,
}

impl Closed {
    /// A push of this kind is too old for replies.
    pub fn late(opening: Opening, age_s: u64, limits: &Limits) -> Self {
        Self { opening, age_s, why: Why::OutOfTime { seconds: limits.seconds(opening) } }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age_s = self.age_s;
        let (what, key) = match self.opening {
            Opening::Message => ("wrote", "message"),
            Opening::Enter => ("entered the session", "enter"),
        };
        match self.why {
            Why::OutOfCount { sent, replies } => write!(
                f,
                "no replies are left: {sent} were sent since the user {what} {age_s} s before, WeChat takes {replies} \
                 ([window] {key}_replies)"
            ),
            Why::OutOfTime { seconds } => write!(
                f,
                "the user {what} {age_s} s before, WeChat takes replies for {seconds} s ([window] {key}_seconds)"
            ),
            Why::WeChatSaidOutOfCount => {
                write!(f, "WeChat said earlier (45047) that no replies are left; the user {what} {age_s} s before")
            }
            Why::WeChatSaidOutOfTime => {
                write!(
                    f,
                    "WeChat said earlier (45015) that the time for replies is over; the user {what} {age_s} s before"
                )
            }
        }
    }
}
