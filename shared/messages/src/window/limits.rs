//! WeChat's limits, as `[window]` sets them.

use kefu_wechat::push::Push;

use super::Opening;

/// `[window]`: how many replies WeChat takes, and for how long.
///
/// Source of the defaults:
/// <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>. WeChat has changed
/// them over the years. A value that is too large costs a call that WeChat refuses; a value that is too small costs replies
/// that WeChat would have taken.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Replies after a user's message. Default 5.
    pub message_replies: u32,
    /// How long WeChat takes these replies, in seconds. Default 48 hours.
    pub message_seconds: u64,
    /// Replies after a user entered the session. Default 2.
    pub enter_replies: u32,
    /// How long WeChat takes these replies, in seconds. Default 1 minute.
    pub enter_seconds: u64,
    /// For how many more seconds replies are tried, because the clocks of WeChat, ingress and worker may differ by this
    /// much. Default 5.
    pub clock_tolerance_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_replies: 5,
            message_seconds: 48 * 3_600,
            enter_replies: 2,
            enter_seconds: 60,
            clock_tolerance_seconds: 5,
        }
    }
}

impl Limits {
    /// How many replies WeChat takes after a push.
    pub fn replies_after(&self, push: &Push) -> usize {
        self.replies(Opening::of(push).unwrap_or(Opening::Message)) as usize
    }

    /// How many replies WeChat takes after this opening.
    pub fn replies(&self, opening: Opening) -> u32 {
        match opening {
            Opening::Message => self.message_replies,
            Opening::Enter => self.enter_replies,
        }
    }

    /// For how long WeChat takes them, in seconds.
    pub fn seconds(&self, opening: Opening) -> u64 {
        match opening {
            Opening::Message => self.message_seconds,
            Opening::Enter => self.enter_seconds,
        }
    }

    /// For how long replies are tried, in milliseconds: a little longer, because clocks differ.
    pub fn tried_for_ms(&self, opening: Opening) -> u64 {
        self.seconds(opening).saturating_add(self.clock_tolerance_seconds).saturating_mul(1_000)
    }
}
