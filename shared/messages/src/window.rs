//! The window: how many replies WeChat still takes for a user, and until when.
//!
//! After a user's message WeChat takes 5 replies within 48 hours, and after the user entered the session 2 within a minute.
//! Each such opening sets the count to the larger of the old and the new count, and the end to the later of the two ends;
//! nothing adds up. Source:
//! <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.
//!
//! This record is a guard that saves calls that WeChat would refuse. The record must never be stricter than WeChat. So an
//! unknown window is open, a reply that was sent and not counted does no harm, and WeChat's refusal corrects a known
//! opening.

use std::fmt;

use kefu_wechat::push::{Content, Push};
use serde::{Deserialize, Serialize};

use crate::message_key::MessageKey;

mod closed;
mod limits;

pub use closed::Closed;
use closed::Why;
pub use limits::Limits;

/// An action of the user that lets WeChat take replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// The user wrote something.
    Message,
    /// The user entered the session.
    Enter,
}

/// The event that is pushed when a user enters the session.
pub const ENTER_SESSION: &str = "user_enter_tempsession";

impl Opening {
    /// The opening that a push reports; `None` if the push reports none.
    pub fn of(push: &Push) -> Option<Self> {
        match &push.content {
            Content::Text { .. } | Content::Image { .. } | Content::Miniprogrampage { .. } => Some(Self::Message),
            Content::Event { event, .. } if event.eq_ignore_ascii_case(ENTER_SESSION) => Some(Self::Enter),
            // Only users' messages have a MsgId.
            Content::Other if push.msg_id.is_some() => Some(Self::Message),
            Content::Event { .. } | Content::Other => None,
        }
    }
}

/// The record of a user's window. A new record knows nothing: WeChat may know of an earlier message.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The latest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Opened>,
    /// The latest entering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enter: Option<Opened>,
    /// The reply that was counted last: the key of its message and its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<String>,
    /// Messages before this time, in milliseconds since the Unix epoch, say nothing about the window: the user was with the
    /// human agents, and WeChat does not push these messages to kefu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_until_ms: Option<u64>,
}

/// One opening of a window.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// When ingress learned of the opening, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The key of the push that reported the opening.
    pub by: String,
    /// The replies counted since the opening.
    pub sent: u32,
    /// WeChat's refusal since the opening.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// How WeChat refuses a reply because of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// 45047: there are no replies left.
    OutOfCount,
    /// 45015: the time of the window is over.
    OutOfTime,
}

/// A message may be handled after a later one, and the clocks of ingresses differ: only a push that is older than the
/// latest opening by more than this is certainly an earlier push.
pub const CLOCKS_DIFFER_MS: u64 = 60_000;

impl Window {
    /// Records an opening. A repetition by the same push, or a report by an earlier push, changes nothing; neither does a
    /// message from the time of which nothing is known.
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
    /// later, and the reply does not count for it.
    pub fn count(&mut self, seen: &Self, by: &MessageKey, step: u32) {
        let counted = counted(by, step);
        if self.counted.as_ref() == Some(&counted) || !self.has_opening() {
            return;
        }
        self.as_seen(seen).for_each(|opened| opened.sent += 1);
        self.counted = Some(counted);
    }

    /// Records that WeChat refused a reply because of the window that the sender had `seen`. Without a seen opening there
    /// is nothing to learn: WeChat may not tell kefu how the user opens the window.
    pub fn refuse(&mut self, seen: &Self, refused: Refused) {
        self.as_seen(seen).for_each(|opened| opened.refused = Some(refused));
    }

    /// Records that the user is with the human agents: nothing is known, and messages before `until_ms` will not change
    /// that.
    pub fn transfer(&mut self, until_ms: u64) {
        let until_ms = self.unknown_until_ms.map_or(until_ms, |known| known.max(until_ms));
        *self = Self { unknown_until_ms: Some(until_ms), ..Self::default() };
    }

    /// The openings that are still the `seen` ones.
    fn as_seen<'a>(&'a mut self, seen: &Self) -> impl Iterator<Item = &'a mut Opened> + use<'a> {
        let is_same = |opened: &Opened, seen: &Option<Opened>| seen.as_ref().is_some_and(|seen| seen.by == opened.by);
        let message = self.message.as_mut().filter(|opened| is_same(opened, &seen.message));
        let enter = self.enter.as_mut().filter(|opened| is_same(opened, &seen.enter));
        message.into_iter().chain(enter)
    }

    /// Whether the record has an opening for a reply to count to, or for a refusal to belong to.
    pub fn has_opening(&self) -> bool {
        self.message.is_some() || self.enter.is_some()
    }

    /// Whether messages may have come since `at_ms` that WeChat did not tell kefu of.
    pub fn is_unknown_at(&self, at_ms: u64) -> bool {
        self.unknown_until_ms.is_some_and(|until_ms| at_ms < until_ms)
    }

    /// How many replies WeChat still takes while the window is open; `None` if unknown.
    pub fn left(&self, limits: &Limits) -> Option<u32> {
        // An unknown message may have opened the window.
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

    /// Why WeChat would refuse a reply at `now_ms`, as far as the record knows.
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

/// The name of a reply in [`Window::counted`].
pub fn counted(by: &MessageKey, step: u32) -> String {
    [by.as_str(), " ", &step.to_string()].concat()
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
