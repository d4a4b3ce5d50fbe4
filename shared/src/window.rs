//! The window: how many replies WeChat still allows for a user, and until when.
//!
//! After a user's message it takes 5 replies within 48 hours, after the user entered the session 2 within a minute. Each
//! such opening sets the count to the larger and the end to the later of what there was and what it brings; nothing adds
//! up. Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.
//!
//! What is kept here is a guard that saves calls that WeChat would refuse. It must never be stricter than WeChat: what is
//! not known is allowed, what was sent and not counted is no harm, and WeChat's own answers correct it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config;
use crate::message_key::MessageKey;
use crate::wechat::push::{Content, Push};

/// What a user did that allows replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// Wrote something.
    Message,
    /// Entered the session.
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

    /// How many replies WeChat takes after it.
    pub fn most_replies(&self, limits: &config::Window) -> usize {
        let most = match self.opens() {
            Some(Opening::Enter) => limits.enter_replies,
            Some(Opening::Message) | None => limits.message_replies,
        };
        most as usize
    }
}

/// Whose window it is. Sessions with sub-merchants have windows of their own: whether WeChat sees it so is undocumented,
/// and one for all would be the stricter guess.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WindowKey(String);

impl WindowKey {
    /// The window of the sender of a push to the account `appid`.
    pub fn of(appid: &str, push: &Push) -> Self {
        let user = push.from_user.as_str();
        Self(match push.business_id {
            None => format!("{appid}|{user}"),
            Some(business_id) => format!("{appid}|{user}|{business_id}"),
        })
    }

    /// The text. It holds an openid.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the user.
impl fmt::Debug for WindowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WindowKey")
    }
}

/// What is known of a user's window. Nothing, when it is new: WeChat may know of a message that came before.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// By the latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Opened>,
    /// By the latest entering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enter: Option<Opened>,
    /// The reply that was counted last: the key of its message and its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<String>,
}

/// One opening of a window.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// When ingress learned of it, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The key of the push that told of it; empty when it is known from a refusal only.
    pub by: String,
    /// Replies counted since.
    pub sent: u32,
    /// What WeChat has said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// How WeChat refuses a reply for the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// 45047: there are no replies left.
    OutOfCount,
    /// 45015: its time is over.
    OutOfTime,
}

/// A message may be handled after a later one, and ingresses' clocks differ: only a push that is older than the latest
/// opening by more than this is surely an earlier one.
pub const CLOCKS_DIFFER_MS: u64 = 60_000;

impl Window {
    /// The user did something. Told again by the same push, or by an earlier one, it changes nothing.
    pub fn open(&mut self, opening: Opening, by: &MessageKey, at_ms: u64) {
        let opened = match opening {
            Opening::Message => &mut self.message,
            Opening::Enter => &mut self.enter,
        };
        let at_ms = match opened {
            Some(known) if known.by == by.as_str() || at_ms.saturating_add(CLOCKS_DIFFER_MS) <= known.at_ms => return,
            Some(known) => at_ms.max(known.at_ms),
            None => at_ms,
        };
        *opened = Some(Opened { at_ms, by: by.as_str().to_owned(), sent: 0, refused: None });
    }

    /// Counts a reply, once: step `step` of the message `by`. An opening that the sender of the reply had not `seen` came
    /// later, and is not charged.
    pub fn count(&mut self, seen: &Self, by: &MessageKey, step: u32) {
        let counted = counted(by, step);
        if self.counted.as_ref() == Some(&counted) || (self.message.is_none() && self.enter.is_none()) {
            return;
        }
        let pairs = [(&mut self.message, &seen.message), (&mut self.enter, &seen.enter)];
        for (opened, seen) in pairs.into_iter().filter_map(|(opened, seen)| opened.as_mut().zip(seen.as_ref())) {
            if opened.by == seen.by && !seen.by.is_empty() {
                opened.sent += 1;
            }
        }
        self.counted = Some(counted);
    }

    /// WeChat refused a reply for the window that the sender had `seen`, at `now_ms`.
    pub fn refuse(&mut self, seen: &Self, refused: Refused, now_ms: u64) {
        if self.message.is_none() && seen.message.is_none() {
            self.message = Some(Opened { at_ms: now_ms, by: String::new(), sent: 0, refused: None });
        }
        let seen_message = seen.message.as_ref().map_or("", |seen| &seen.by);
        let seen_enter = seen.enter.as_ref().map(|seen| seen.by.as_str());
        let message = self.message.as_mut().filter(|opened| opened.by == seen_message);
        let enter = self.enter.as_mut().filter(|opened| Some(opened.by.as_str()) == seen_enter);
        for opened in message.into_iter().chain(enter) {
            opened.refused = Some(refused);
        }
    }

    /// Why WeChat would refuse a reply at `now_ms`, as far as is known.
    pub fn closed(&self, limits: &config::Window, now_ms: u64) -> Option<Closed> {
        // A message that is not known of may have opened it.
        let message = self.message.as_ref()?;
        let openings = || {
            let message = (Opening::Message, message, limits.message_replies, limits.message_seconds);
            let enter = |enter| (Opening::Enter, enter, limits.enter_replies, limits.enter_seconds);
            std::iter::once(message).chain(self.enter.as_ref().map(enter))
        };
        let is_in_time = openings().any(|(_, opened, _, seconds)| {
            let end_ms = opened.at_ms.saturating_add(seconds.saturating_mul(1_000));
            opened.refused != Some(Refused::OutOfTime) && now_ms < end_ms
        });
        let has_left = openings().any(|(_, opened, replies, _)| opened.refused.is_none() && opened.sent < replies);
        if is_in_time && has_left {
            return None;
        }
        let (opening, opened, replies, seconds) = openings().max_by_key(|(_, opened, ..)| opened.at_ms)?;
        Some(Closed {
            opening,
            age_s: now_ms.saturating_sub(opened.at_ms) / 1_000,
            why: match opened.refused {
                Some(Refused::OutOfCount) => Why::WeChatSaidOutOfCount,
                Some(Refused::OutOfTime) => Why::WeChatSaidOutOfTime,
                None if is_in_time => Why::OutOfCount { sent: opened.sent, replies },
                None => Why::OutOfTime { seconds },
            },
        })
    }

    /// Whether the user is known to have written after the push `by`, which came at `at_ms`.
    pub fn has_message_after(&self, by: &MessageKey, at_ms: u64) -> bool {
        let is_later = |opened: &Opened| opened.at_ms > at_ms && opened.by != by.as_str() && !opened.by.is_empty();
        self.message.as_ref().is_some_and(is_later)
    }
}

/// How [`Window::counted`] names a reply.
pub(crate) fn counted(by: &MessageKey, step: u32) -> String {
    format!("{} {step}", by.as_str())
}

/// Why a window is closed; its text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    opening: Opening,
    /// How long ago that was, in seconds.
    age_s: u64,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    OutOfCount { sent: u32, replies: u32 },
    OutOfTime { seconds: u64 },
    WeChatSaidOutOfCount,
    WeChatSaidOutOfTime,
}

impl Closed {
    /// A push of this kind is older than replies to it may be.
    pub fn late(opening: Opening, age_s: u64, limits: &config::Window) -> Self {
        let seconds = match opening {
            Opening::Message => limits.message_seconds,
            Opening::Enter => limits.enter_seconds,
        };
        Self { opening, age_s, why: Why::OutOfTime { seconds } }
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

/// Without the openids.
impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("message", &self.message).field("enter", &self.enter).finish_non_exhaustive()
    }
}

/// Without the openid.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_ms, sent, refused, .. } = self;
        f.debug_struct("Opened").field("at_ms", at_ms).field("sent", sent).field("refused", refused).finish()
    }
}

#[cfg(test)]
mod tests;
