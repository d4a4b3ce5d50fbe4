//! Faults on demand.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The answer is this `errcode`.
    Errcode,
    /// The answer comes `latency_ms` later; the call takes effect at once.
    Latency,
    /// The connection is cut without an answer.
    Drop,
    /// The answer has this `status` (500 by default) and this `body` (a plain text by default).
    Status,
    /// The answer is an HTML page, with this `status` (200 by default).
    Html,
    /// The answer is JSON that stops in the middle, in an HTTP response that is whole.
    CutJson,
    /// The connection is cut in the middle of the answer's body.
    CutBody,
    /// The answer's `errcode` is a string: the one given, else the true one.
    ErrcodeAsText,
    /// Token endpoints: the token has 600 characters.
    LongToken,
    /// At once, not for calls: the account's current tokens have expired (42001).
    ExpireToken,
    /// At once, not for calls: the account's current tokens are not the latest any more (40001).
    InvalidateToken,
}

/// A fault that is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which calls: the end of a path, for example `custom/send`, `stable_token` or `media/upload`; `*` for all.
    #[serde(default = "any")]
    pub path: String,
    /// How many calls, exactly.
    #[serde(default = "once")]
    pub times: u32,
    /// Only calls of this appid; required for `expire_token` and `invalidate_token`.
    #[serde(default)]
    pub account: Option<String>,
    /// Only calls for this openid.
    #[serde(default)]
    pub user: Option<String>,
    /// Whether the call takes effect all the same: a `drop` with effect is a message that the user has received and an
    /// answer that never came. By default only `latency`, `cut_json`, `cut_body`, `errcode_as_text` without an errcode
    /// and `long_token` do.
    #[serde(default)]
    pub effect: Option<bool>,
    /// For `errcode` and `errcode_as_text`.
    #[serde(default)]
    pub errcode: Option<i64>,
    /// For `errcode` and `errcode_as_text`; WeChat's text by default.
    #[serde(default)]
    pub errmsg: Option<String>,
    /// For `latency`.
    #[serde(default)]
    pub latency_ms: Option<u64>,
    /// For `status` and `html`.
    #[serde(default)]
    pub status: Option<u16>,
    /// For `status`.
    #[serde(default)]
    pub body: Option<String>,
}

fn any() -> String {
    "*".to_owned()
}

fn once() -> u32 {
    1
}
