//! The window: how many replies WeChat still allows for a user, and until when.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use serde::{Deserialize, Serialize};

use crate::wechat::push::{Content, Push};

/// What a user did that allows replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// Wrote something: 5 replies within 48 hours.
    Message,
    /// Entered the session: 2 replies within a minute.
    Enter,
}

/// The event that is pushed when a user enters the session.
pub(crate) const ENTER_SESSION: &str = "user_enter_tempsession";

impl Push {
    /// Whether it tells of something that allows replies to its sender.
    pub fn opens(&self) -> Option<Opening> {
        match &self.content {
            Content::Text { .. } | Content::Image { .. } | Content::Miniprogrampage { .. } => Some(Opening::Message),
            Content::Event { event, .. } if event.eq_ignore_ascii_case(ENTER_SESSION) => Some(Opening::Enter),
            // Only what users send has a MsgId.
            Content::Other if self.msg_id.is_some() => Some(Opening::Message),
            Content::Event { .. } | Content::Other => None,
        }
    }
}
