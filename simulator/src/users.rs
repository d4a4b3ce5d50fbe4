//! The users of the mini programs, as far as customer service goes.

use std::collections::HashMap;

use crate::config::Limits;
use crate::errcode::ApiError;
use crate::window::Window;

const TYPING_LASTS_MS: i64 = 15_000;
const TYPING_NEEDS_MESSAGE_WITHIN_MS: i64 = 30_000;

/// What a user did that opens a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Wrote something.
    Message,
    /// Entered the session.
    Enter,
}

/// Users by appid and openid. Kept until the end of the simulator.
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
    /// Makes a user known without any window.
    pub(crate) fn register(&mut self, appid: &str, openid: &str) {
        self.entry(appid, openid);
    }

    fn entry(&mut self, appid: &str, openid: &str) -> &mut User {
        self.0.entry(appid.to_owned()).or_default().entry(openid.to_owned()).or_default()
    }

    /// The user does something.
    pub(crate) fn act(&mut self, appid: &str, openid: &str, action: Action, limits: &Limits, now_ms: i64) {
        let user = self.entry(appid, openid);
        user.last_action_ms = Some(now_ms);
        match action {
            Action::Message => user.window.open(limits.message_replies, limits.message_window_ms, now_ms),
            Action::Enter => user.window.open(limits.enter_replies, limits.enter_window_ms, now_ms),
        }
    }

    /// A user, if known.
    pub(crate) fn find(&self, appid: &str, openid: &str) -> Option<&User> {
        self.0.get(appid)?.get(openid)
    }

    /// A user for the API, for which an unknown openid is an error.
    pub(crate) fn addressee(&mut self, appid: &str, openid: &str) -> Result<&mut User, ApiError> {
        self.0.get_mut(appid).and_then(|users| users.get_mut(openid)).ok_or(ApiError::INVALID_OPENID)
    }
}

impl User {
    /// A message reaches the user, who no longer sees anybody typing.
    pub(crate) fn receive(&mut self, now_ms: i64) -> Result<(), ApiError> {
        self.window.take(now_ms)?;
        self.typing_until_ms = 0;
        Ok(())
    }

    /// The user sees somebody typing.
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

    /// The user sees nobody typing any more.
    pub(crate) fn hide_typing(&mut self) {
        self.typing_until_ms = 0;
    }
}
