//! The session: the conversation of a user with an account.

use std::fmt;

use kefu_wechat::push::Push;

use crate::envelope::Envelope;

/// A user of an account, whatever the session: the user's messages share a lane.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserKey(String);

impl UserKey {
    /// The user whose message this is.
    pub fn of(envelope: &Envelope) -> Self {
        Self([&envelope.account, "|", envelope.push.from_user.as_str()].concat())
    }

    /// The text. It contains an openid.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the user.
impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey")
    }
}

/// A session: of one user with one account; with a sub-merchant of the account, the user has another session. WeChat does
/// not document whether its window works in this way, and one window for all sessions would be the stricter guess.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(String);

impl SessionKey {
    /// The session of the sender of a push to the account `appid`.
    pub fn of(appid: &str, push: &Push) -> Self {
        let user = push.from_user.as_str();
        Self(match push.business_id {
            None => [appid, "|", user].concat(),
            Some(business_id) => format!("{appid}|{user}|{business_id}"),
        })
    }

    /// The text. It contains an openid.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the user.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}
