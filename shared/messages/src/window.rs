//! The window: how many replies WeChat still allows for a user, and until when.
//!
//! After a user's message it takes 5 replies within 48 hours, after the user entered the session 2 within a minute. Each
//! such opening sets the count to the larger and the end to the later of what there was and what it brings; nothing adds
//! up. Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.
//!
//! What is kept here is a guard that saves calls that WeChat would refuse. It must never be stricter than WeChat: what is
//! not known is allowed, what was sent and not counted is no harm, and what WeChat says of an opening that is known
//! corrects it.

use std::fmt;

use kefu_wechat::push::{Content, Push};
use serde::{Deserialize, Serialize};

use crate::message_key::MessageKey;

mod closed;
mod limits;

pub use closed::Closed;
use closed::Why;
pub use limits::Limits;

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
pub const ENTER_SESSION: &str = "user_enter_tempsession";

impl Opening {
    /// What the sender of a push did that allows replies; `None` if the push tells of nothing like that.
    pub fn of(push: &Push) -> Option<Self> {
        match &push.content {
            Content::Text { .. } | Content::Image { .. } | Content::Miniprogrampage { .. } => Some(Self::Message),
            Content::Event { event, .. } if event.eq_ignore_ascii_case(ENTER_SESSION) => Some(Self::Enter),
            // Only what users send has a MsgId.
            Content::Other if push.msg_id.is_some() => Some(Self::Message),
            Content::Event { .. } | Content::Other => None,
        }
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
    /// Messages that came before this, in milliseconds since the Unix epoch, make nothing known: the user was with the
    /// human agents, and what is said to them is not told to kefu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_until_ms: Option<u64>,
}

/// One opening of a window.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// When ingress learned of it, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The key of the push that told of it.
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
    /// The user did something. Told again by the same push, or by an earlier one, it changes nothing; neither does a message
    /// of the time of which nothing is known.
    pub fn open(&mut self, opening: Opening, by: &MessageKey, at_ms: u64) {
        if opening == Opening::Message && self.is_unknown_at(at_ms) {
            return;
        }
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
        if self.counted.as_ref() == Some(&counted) || !self.has_opening() {
            return;
        }
        self.as_seen(seen).for_each(|opened| opened.sent += 1);
        self.counted = Some(counted);
    }

    /// WeChat refused a reply for the window that the sender had `seen`. Where no opening was seen, nothing is learned:
    /// what the user does to open the window need not be told to kefu.
    pub fn refuse(&mut self, seen: &Self, refused: Refused) {
        self.as_seen(seen).for_each(|opened| opened.refused = Some(refused));
    }

    /// The user is with the human agents: nothing is known, and nothing will be from messages that come before `until_ms`.
    pub fn transfer(&mut self, until_ms: u64) {
        let until_ms = self.unknown_until_ms.map_or(until_ms, |known| known.max(until_ms));
        *self = Self { unknown_until_ms: Some(until_ms), ..Self::default() };
    }

    /// The openings that are still those that were `seen`.
    fn as_seen<'a>(&'a mut self, seen: &Self) -> impl Iterator<Item = &'a mut Opened> + use<'a> {
        let is_same = |opened: &Opened, seen: &Option<Opened>| seen.as_ref().is_some_and(|seen| seen.by == opened.by);
        let message = self.message.as_mut().filter(|opened| is_same(opened, &seen.message));
        let enter = self.enter.as_mut().filter(|opened| is_same(opened, &seen.enter));
        message.into_iter().chain(enter)
    }

    /// Whether something is known that a reply is counted to, or a refusal belongs to.
    pub fn has_opening(&self) -> bool {
        self.message.is_some() || self.enter.is_some()
    }

    /// Whether messages may have come since `at_ms` that kefu was not told of.
    pub fn is_unknown_at(&self, at_ms: u64) -> bool {
        self.unknown_until_ms.is_some_and(|until_ms| at_ms < until_ms)
    }

    /// How many replies WeChat still takes while it takes any; `None` when that is not known.
    pub fn left(&self, limits: &Limits) -> Option<u32> {
        // A message that is not known of may have opened it.
        self.message.as_ref()?;
        let left = |(opening, opened): (Opening, &Opened)| match opened.refused {
            Some(_) => 0,
            None => limits.replies(opening).saturating_sub(opened.sent),
        };
        self.openings().map(left).max()
    }

    fn openings(&self) -> impl Iterator<Item = (Opening, &Opened)> {
        let message = self.message.as_ref().map(|message| (Opening::Message, message));
        let enter = self.enter.as_ref().map(|enter| (Opening::Enter, enter));
        message.into_iter().chain(enter)
    }

    /// Why WeChat would refuse a reply at `now_ms`, as far as is known.
    pub fn closed(&self, limits: &Limits, now_ms: u64) -> Option<Closed> {
        let left = self.left(limits)?;
        let is_in_time = self.openings().any(|(opening, opened)| {
            let end_ms = opened.at_ms.saturating_add(limits.tried_for_ms(opening));
            opened.refused != Some(Refused::OutOfTime) && now_ms < end_ms
        });
        if is_in_time && left > 0 {
            return None;
        }
        let (opening, opened) = self.openings().max_by_key(|(_, opened)| opened.at_ms)?;
        Some(Closed {
            opening,
            age_s: now_ms.saturating_sub(opened.at_ms) / 1_000,
            why: match opened.refused {
                Some(Refused::OutOfCount) => Why::WeChatSaidOutOfCount,
                Some(Refused::OutOfTime) => Why::WeChatSaidOutOfTime,
                None if is_in_time => Why::OutOfCount { sent: opened.sent, replies: limits.replies(opening) },
                None => Why::OutOfTime { seconds: limits.seconds(opening) },
            },
        })
    }

    /// Whether the user is known to have written after the push `by`, which came at `at_ms`.
    pub fn has_message_after(&self, by: &MessageKey, at_ms: u64) -> bool {
        let is_later = |opened: &Opened| opened.at_ms > at_ms && opened.by != by.as_str();
        self.message.as_ref().is_some_and(is_later)
    }
}

/// How [`Window::counted`] names a reply.
pub fn counted(by: &MessageKey, step: u32) -> String {
    format!("{} {step}", by.as_str())
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
