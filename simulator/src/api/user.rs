//! The users of the mini programs, as far as customer service needs them, and their windows.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use std::collections::HashMap;

use super::errcode::ApiError;
use crate::config::Limits;

const TYPING_LASTS_MS: i64 = 15_000;
const TYPING_NEEDS_MESSAGE_WITHIN_MS: i64 = 30_000;

/// An action of a user that opens a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The user wrote something.
    Message,
    /// The user entered the session.
    Enter,
}

/// Users by appid and openid. The simulator keeps users until its end.
#[derive(Default)]
pub(crate) struct Users(HashMap<String, HashMap<String, User>>);

/// One user.
#[derive(Default)]
pub(crate) struct User {
    pub(crate) window: Window,
    last_action_ms: Option<i64>,
    typing_until_ms: i64,
}

impl Users {
    /// A user, who is known from now on. A new user has no window.
    pub(crate) fn know(&mut self, appid: &str, openid: &str) -> &mut User {
        self.0.entry(appid.to_owned()).or_default().entry(openid.to_owned()).or_default()
    }

    /// A user, if the simulator knows the openid.
    pub(crate) fn find(&self, appid: &str, openid: &str) -> Option<&User> {
        self.0.get(appid)?.get(openid)
    }

    /// A user for the API, which answers an unknown openid with an error.
    pub(crate) fn addressee(&mut self, appid: &str, openid: &str) -> Result<&mut User, ApiError> {
        self.0.get_mut(appid).and_then(|users| users.get_mut(openid)).ok_or(ApiError::INVALID_OPENID)
    }
}

impl User {
    /// Opens a window after an action of the user.
    pub(crate) fn act(&mut self, action: Action, limits: &Limits, now_ms: i64) {
        self.last_action_ms = Some(now_ms);
        match action {
            Action::Message => self.window.open(limits.message_replies, limits.message_window_ms, now_ms),
            Action::Enter => self.window.open(limits.enter_replies, limits.enter_window_ms, now_ms),
        }
    }

    /// Delivers a message to the user, who then sees nobody typing any more.
    pub(crate) fn receive(&mut self, now_ms: i64) -> Result<(), ApiError> {
        self.window.take(now_ms)?;
        self.typing_until_ms = 0;
        Ok(())
    }

    /// Shows the user that somebody is typing.
    pub(crate) fn show_typing(&mut self, now_ms: i64) -> Result<(), ApiError> {
        if self.last_action_ms.is_none_or(|at| now_ms - at >= TYPING_NEEDS_MESSAGE_WITHIN_MS) {
            return Err(ApiError::TYPING_WITHOUT_MESSAGE);
        }
        if now_ms < self.typing_until_ms {
            return Err(ApiError::TYPING_ALREADY);
        }
        self.typing_until_ms = now_ms + TYPING_LASTS_MS;
        Ok(())
    }

    /// Shows the user that nobody is typing any more.
    pub(crate) fn hide_typing(&mut self) {
        self.typing_until_ms = 0;
    }
}

/// One user's window. WeChat does not document whether entering the session shortens a window that a message opened. In
/// the simulator the larger count and the later end win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// How many replies are left. The number means something only before `until_ms`.
    pub(crate) remaining: u32,
    /// The end of the window, in milliseconds since the Unix epoch.
    pub(crate) until_ms: i64,
}

impl Window {
    /// Opens a window with `replies` replies for `lasting_ms`, after an action of the user. Counts do not add up.
    pub(crate) fn open(&mut self, replies: u32, lasting_ms: u64, now_ms: i64) {
        if now_ms >= self.until_ms {
            self.remaining = 0;
        }
        self.remaining = self.remaining.max(replies);
        self.until_ms = self.until_ms.max(now_ms.saturating_add_unsigned(lasting_ms));
    }

    /// Uses one reply.
    pub(crate) fn take(&mut self, now_ms: i64) -> Result<(), ApiError> {
        if now_ms >= self.until_ms {
            return Err(ApiError::OUT_OF_TIME);
        }
        self.remaining = self.remaining.checked_sub(1).ok_or(ApiError::OUT_OF_COUNT)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn the_sixth_reply_is_out_of_count_and_the_first_after_48_hours_out_of_time() {
        let mut window = Window::default();
        assert_eq!(window.take(0), Err(ApiError::OUT_OF_TIME));
        window.open(5, 48 * HOUR, 0);
        for _ in 0..5 {
            assert_eq!(window.take(1), Ok(()));
        }
        assert_eq!(window.take(1), Err(ApiError::OUT_OF_COUNT));
        assert_eq!(window.take(48 * 3_600_000), Err(ApiError::OUT_OF_TIME));
    }

    #[test]
    fn a_further_message_fills_the_count_up_but_does_not_add_to_it() {
        let mut window = Window::default();
        window.open(5, 48 * HOUR, 0);
        assert_eq!(window.take(1), Ok(()));
        window.open(5, 48 * HOUR, 2);
        assert_eq!(window.remaining, 5);
    }

    #[test]
    fn entering_does_not_shorten_the_window_of_a_message_nor_inherit_an_ended_one() {
        let mut window = Window::default();
        window.open(5, 48 * HOUR, 0);
        window.open(2, 60_000, 1);
        assert_eq!(window, Window { remaining: 5, until_ms: 48 * 3_600_000 });
        window.open(2, 60_000, 49 * 3_600_000);
        assert_eq!(window, Window { remaining: 2, until_ms: 49 * 3_600_000 + 60_000 });
    }
}
