//! The message key: equal for two copies of the same push.

use std::fmt;
use std::time::Duration;

use kefu_wechat::push::Push;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{outbound, unreadable};

/// How long the ledger remembers a message, from its last claim or its end on.
pub const LEDGER_KEEPS_FOR: Duration = Duration::from_secs(72 * 3_600);

/// The identity of a push: equal for a push and its re-sends, different for everything else.
///
/// `appid|ToUserName|FromUserName|MsgId` if the push has a `MsgId`, else
/// `appid|ToUserName|FromUserName|CreateTime|MsgType|Event|sha256 of the decrypted fields`, without `RetryTimes`, which
/// WeChat changes on each re-send. WeChat's own rule (`MsgId`, else `FromUserName` + `CreateTime`) merges different pushes:
/// users were seen to share a `MsgId`, and many events have a platform account as their sender. Source:
/// <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html>.
///
/// The key contains an openid, so `Debug` and `Display` show only a digest of the key (12 hex digits, enough to find the
/// same message in two logs).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageKey(String);

impl MessageKey {
    /// The key of a push to the account `appid`.
    pub fn of(appid: &str, push: &Push) -> Self {
        let mut parts = vec![appid, &push.to_user, push.from_user.as_str()];
        let create_time = push.create_time.to_string();
        let digest;
        match &push.msg_id {
            Some(msg_id) => parts.push(msg_id),
            None => {
                digest = hex::encode(push.fields.digest_without("RetryTimes"));
                parts.extend([&create_time, &push.msg_type, push.event().unwrap_or_default(), &digest]);
            }
        }
        Self::joined(&parts)
    }

    /// The key of a message that a team's own backend sends to a user of the account `appid` under this
    /// `Idempotency-Key`: `appid|kefu_send|Idempotency-Key`, which no push has.
    pub fn of_send(appid: &str, idempotency_key: &str) -> Self {
        Self::joined(&[appid, outbound::MSG_TYPE, idempotency_key])
    }

    /// The key of a push to the account `appid` that could not be read: `appid|kefu_unreadable|sha256 of its decrypted
    /// bytes`. No readable push has such a key, and WeChat's re-sends of the same bytes share it.
    pub fn of_unreadable(appid: &str, bytes: &[u8]) -> Self {
        Self::joined(&[appid, unreadable::MSG_TYPE, &hex::encode(Sha256::digest(bytes))])
    }

    fn joined(parts: &[&str]) -> Self {
        let escaped: Vec<String> = parts.iter().map(|part| part.replace('%', "%25").replace('|', "%7C")).collect();
        Self(escaped.join("|"))
    }

    /// A name for the message that reveals nothing of it: 32 hex digits, which begin like `Display`.
    pub fn id(&self) -> String {
        hex::encode(&Sha256::digest(self.0.as_bytes())[..16])
    }

    /// A key from the text that [`MessageKey::as_str`] returned.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The SHA-256 of the key in hex: the name of the message where the openid must not appear. `Display` shows the first
    /// 12 digits.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }

    /// The whole key, for the store and the queue. The key contains an openid, so never log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&Sha256::digest(self.0.as_bytes())[..6]))
    }
}

impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageKey({self})")
    }
}
