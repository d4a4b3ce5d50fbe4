//! Requests to the pushing side, and its reports.

use kefu_wechat::push::Format;
use serde::{Deserialize, Serialize};

use super::request::Cdata;
use crate::config::Mode;
use crate::message::{Message, MsgId};

/// An order to push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// The appid.
    pub account: String,
    /// The user's openid. WeChat knows the user from this push on.
    pub user: String,
    /// The user's action.
    pub message: Message,
    /// XML or JSON; the account's when left out.
    pub format: Option<Format>,
    /// The mode; the account's when left out.
    pub mode: Option<Mode>,
    /// How texts appear in XML. By default the simulator splits a text that holds `]]>`.
    #[serde(default)]
    pub cdata: Cdata,
    /// The `MsgId`; a new number beyond 2^53 when left out. An event never gets one.
    pub msg_id: Option<MsgId>,
    /// `CreateTime` in seconds since the Unix epoch; now when left out.
    pub create_time: Option<i64>,
    /// The number of copies of the very same push, 1 to 100. Each copy has its own tries.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the simulator sends the copies at the same moment instead of one after the other.
    #[serde(default)]
    pub at_once: bool,
    /// The number of tries of each copy, 1 to 10; [`crate::Limits::push_tries`] when left out.
    pub tries: Option<u32>,
}

impl PushRequest {
    /// An order for one copy in the account's format and mode.
    pub fn new(account: impl Into<String>, user: impl Into<String>, message: Message) -> Self {
        Self {
            account: account.into(),
            user: user.into(),
            message,
            format: None,
            mode: None,
            cdata: Cdata::default(),
            msg_id: None,
            create_time: None,
            times: 1,
            at_once: false,
            tries: None,
        }
    }
}

fn once() -> u32 {
    1
}

/// The outcome of a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushReport {
    /// The number of the push, which counts up within one simulator. The journal's entries have the same number.
    pub push_id: u64,
    /// The journal's last number before this push. All entries that follow from the push have a higher number.
    pub since: u64,
    /// The appid.
    pub account: String,
    /// The openid.
    pub user: String,
    /// `MsgId`, if the push has one.
    pub msg_id: Option<String>,
    /// `CreateTime`.
    pub create_time: i64,
    /// XML or JSON.
    pub format: Format,
    /// The mode of the push.
    pub mode: Mode,
    /// Whether every copy got an answer that WeChat accepts.
    pub answered: bool,
    /// Whether the user would have seen that the service is out of order: no try of some copy got a good answer, and
    /// the push is of a kind whose answer a user waits for.
    pub fault_notice: bool,
    /// The copies, in the order in which the simulator sent them.
    pub copies: Vec<PushCopy>,
}

/// One copy of a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushCopy {
    /// The number of the copy, from 1.
    pub copy: u32,
    /// Whether the copy's last try got an answer that WeChat accepts.
    pub answered: bool,
    /// The copy's tries, in order.
    pub tries: Vec<Try>,
}

/// One try: one HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The number of the try, from 1.
    #[serde(rename = "try")]
    pub number: u32,
    /// How the try ended.
    pub outcome: Outcome,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The answer's Content-Type.
    pub content_type: Option<String>,
    /// The answer's body as it came, at most its first 64 KiB.
    pub body: Option<String>,
    /// The time from the request to the end of the answer, in milliseconds.
    pub duration_ms: f64,
    /// The mistake in the answer, in words.
    pub detail: Option<String>,
    /// The transfer to a human, decrypted, if the answer is a transfer.
    pub transfer: Option<Transfer>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer is `success`.
    Success,
    /// The answer has an empty body, which is as good as `success`.
    Empty,
    /// The answer is a well-formed transfer to a human.
    Transfer,
    /// The answer is another well-formed reply.
    Reply,
    /// The answer has another body.
    Malformed,
    /// The answer has a status other than 2xx.
    Status,
    /// No complete answer came in time.
    Timeout,
    /// The simulator got no connection, or the connection broke.
    Connection,
}

impl Outcome {
    /// Whether WeChat accepts the answer and does not try again.
    pub fn accepted(self) -> bool {
        matches!(self, Self::Success | Self::Empty | Self::Transfer | Self::Reply)
    }
}

/// `transfer_customer_service`, as in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// `ToUserName`: the user.
    pub to_user: String,
    /// `FromUserName`: the mini program.
    pub from_user: String,
    /// `CreateTime`.
    pub create_time: i64,
    /// Whether the transfer was encrypted.
    pub encrypted: bool,
}

/// The outcome of a URL verification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Whether the answer was `echostr` and nothing else, with status 200.
    pub ok: bool,
    /// The `echostr` that the simulator sent.
    pub echostr: String,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The answer's body.
    pub body: Option<String>,
    /// The time from the request to the end of the answer, in milliseconds.
    pub duration_ms: f64,
    /// The mistake, in words.
    pub detail: Option<String>,
}
