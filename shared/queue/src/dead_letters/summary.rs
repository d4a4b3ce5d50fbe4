//! A dead letter as an operator sees it.

use kefu_messages::envelope::Envelope;
use kefu_messages::unreadable::Bytes;
use serde::{Deserialize, Serialize};

use super::{DeadLetter, History};

/// The public facts of a dead letter; the JSON form only gains fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The id: the digest of the message key.
    pub id: String,
    /// The appid of its account; `None` if the body is no envelope.
    pub account: Option<String>,
    /// `text`, `event user_enter_tempsession`, …
    pub kind: Option<String>,
    /// The user's openid, masked; `None` if it is not known.
    pub user: Option<String>,
    /// When ingress received the message: milliseconds since the Unix epoch.
    pub received_at_ms: Option<u64>,
    /// Why the body is no envelope.
    pub undecodable: Option<String>,
    /// The size of the body.
    pub body_bytes: usize,
    /// `p00`, `p01`, …
    pub partition: Option<String>,
    /// What happened to the message; in JSON its fields stand beside the other fields.
    #[serde(flatten)]
    pub history: History,
    /// Only when the operator asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// A user's text, and the user's openid.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The whole openid, if it is known.
    pub user: Option<String>,
    /// The decrypted text of the push; the replies, if the message came from a team's own backend; the bytes of an
    /// unreadable push, or a body that is no envelope, with `�` for bytes that are not UTF-8.
    pub raw: String,
    /// The bytes of an unreadable push; [`Content::raw`] is their text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
}

/// Masked: only the operator may see the content.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

impl Summary {
    pub(super) fn of(letter: &DeadLetter, with_content: bool) -> Self {
        let envelope = letter.envelope.as_ref().ok();
        let kind = |push: &kefu_wechat::push::Push| match push.event() {
            Some(event) => format!("{} {event}", push.msg_type),
            None => push.msg_type.clone(),
        };
        let unreadable = envelope.and_then(|envelope| envelope.unreadable.as_ref());
        let from = envelope.filter(|_| unreadable.is_none()).map(|envelope| &envelope.push.from_user);
        let content = || Content {
            user: from.map(|user| user.as_str().to_owned()),
            bytes: unreadable.map(|unreadable| unreadable.bytes.clone()),
            raw: match envelope {
                Some(Envelope { unreadable: Some(unreadable), .. }) => {
                    String::from_utf8_lossy(&unreadable.bytes.0).into_owned()
                }
                Some(Envelope { send: Some(outbound), .. }) => serde_json::to_string(outbound).unwrap_or_default(),
                Some(envelope) => envelope.text().into_owned(),
                None => String::from_utf8_lossy(&letter.body).into_owned(),
            },
        };
        Self {
            id: letter.id.clone(),
            account: envelope.map(|envelope| envelope.account.clone()),
            kind: envelope.map(|envelope| kind(&envelope.push)),
            user: from.map(ToString::to_string),
            received_at_ms: envelope.map(|envelope| envelope.received_at_ms),
            undecodable: letter.envelope.as_ref().err().map(ToString::to_string),
            body_bytes: letter.body.len(),
            partition: letter.partition.map(|partition| partition.to_string()),
            history: letter.history.clone(),
            content: with_content.then(content),
        }
    }
}
