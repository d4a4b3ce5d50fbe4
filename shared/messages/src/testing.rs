//! Values for the tests of several crates.

// Tests only, which end at their own first fault.
#![allow(clippy::unwrap_used)]

use kefu_wechat::push::{Push, PushError};
use serde_json::{Map, Value, json};

use crate::envelope::Envelope;
use crate::plan::Plan;
use crate::reply::Content;
use crate::unreadable::Unreadable;

/// The time at which all pushes here came.
const RECEIVED_AT_MS: u64 = 1_700_000_000_000;

/// The envelope of a push to `account` from `user`, with these fields besides.
///
/// # Panics
/// When this is no push.
pub fn pushed(account: &str, user: &str, fields: Value) -> Envelope {
    let mut push = json!({ "ToUserName": "gh_1", "FromUserName": user, "CreateTime": RECEIVED_AT_MS / 1_000 });
    push.as_object_mut().unwrap().extend(serde_json::from_value::<Map<_, _>>(fields).unwrap());
    let raw = push.to_string();
    Envelope::of_push(account, Push::parse(&raw).unwrap(), raw, RECEIVED_AT_MS)
}

/// The text `content` of a user, with this MsgId.
pub fn text(user: &str, id: u32, content: &str) -> Envelope {
    pushed("wx1", user, json!({ "MsgType": "text", "MsgId": id, "Content": content }))
}

/// The text `hello` of a user, with this MsgId.
pub fn envelope(user: &str, id: u32) -> Envelope {
    text(user, id, "hello")
}

/// The push of the user `oUSER` with these fields besides.
pub fn push(fields: Value) -> Push {
    pushed("wx1", "oUSER", fields).push
}

/// The text `content` of the user `oUSER`.
pub fn text_push(content: &str) -> Push {
    text("oUSER", 1, content).push
}

/// The event that the user `oUSER` enters the session.
pub fn enter_push(session_from: &str) -> Push {
    push(json!({ "MsgType": "event", "Event": "user_enter_tempsession", "SessionFrom": session_from }))
}

/// An envelope of an ingress that could not parse these bytes.
pub fn unreadable(bytes: &[u8]) -> Envelope {
    Envelope::of_unreadable("wx1", Unreadable::new(bytes.to_vec(), &PushError::UnknownFormat), RECEIVED_AT_MS)
}

/// A plan of these texts.
pub fn plan(texts: &[&str]) -> Plan {
    let steps = texts.iter().map(|text| Content::Text((*text).to_owned()).into()).collect();
    Plan { steps, ..Plan::default() }
}
