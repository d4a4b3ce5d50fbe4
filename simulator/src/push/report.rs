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
    /// The user's openid; WeChat knows the user from then on.
    pub user: String,
    /// The user's action.
    pub message: Message,
    /// XML or JSON; the account's when left out.
    pub format: Option<Format>,
    /// The account's when left out.
    pub mode: Option<Mode>,
    /// How texts stand in XML; split when left out.
    #[serde(default)]
    pub cdata: Cdata,
    /// A new number beyond 2^53 when left out; never given to events.
    pub msg_id: Option<MsgId>,
    /// `CreateTime` in seconds since the Unix epoch; now when left out.
    pub create_time: Option<i64>,
    /// The number of copies of the very same push, 1 to 100; each copy has its own tries.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the copies are sent at the same moment instead of one after the other.
    #[serde(default)]
    pub at_once: bool,
    /// The number of tries of each copy, 1 to 10; [`crate::Limits::push_tries`] when left out.
    pub tries: Option<u32>,
}

impl PushRequest {
    /// One copy in the account's format and mode.
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
    /// Counts up within one simulator; the journal's entries bear it.
    pub push_id: u64,
    /// The journal's last number before this push: everything that follows from it has a higher one.
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
    /// The mode it travelled in.
    pub mode: Mode,
    /// Whether every copy got an answer that WeChat accepts.
    pub answered: bool,
    /// Whether the user would have seen that the service is out of order: no try of some copy was answered well, and the
    /// push is one that a user waits for.
    pub fault_notice: bool,
    /// The copies, in the order they were sent.
    pub copies: Vec<PushCopy>,
}

/// One copy of a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushCopy {
    /// From 1.
    pub copy: u32,
    /// Whether its last try got an answer that WeChat accepts.
    pub answered: bool,
    /// Its tries, in order.
    pub tries: Vec<Try>,
}

/// One try: one HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// From 1.
    #[serde(rename = "try")]
    pub number: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The answer's Content-Type.
    pub content_type: Option<String>,
    /// The answer's body as it came, at most 64 KiB of it.
    pub body: Option<String>,
    /// From the request to the end of the answer, in milliseconds.
    pub duration_ms: f64,
    /// The mistake in the answer, in words.
    pub detail: Option<String>,
    /// The transfer to a human, decrypted, if the answer is one.
    pub transfer: Option<Transfer>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// `success`.
    Success,
    /// A body without a byte, which is as good.
    Empty,
    /// A well-formed transfer to a human.
    Transfer,
    /// Another well-formed reply.
    Reply,
    /// A body that is none of these.
    Malformed,
    /// A status other than 2xx.
    Status,
    /// No whole answer in time.
    Timeout,
    /// No connection, or one that broke.
    Connection,
}

impl Outcome {
    /// Whether WeChat is content and does not try again.
    pub fn accepted(self) -> bool {
        matches!(self, Self::Success | Self::Empty | Self::Transfer | Self::Reply)
    }
}

/// `transfer_customer_service`, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// `ToUserName`: the user.
    pub to_user: String,
    /// `FromUserName`: the mini program.
    pub from_user: String,
    /// `CreateTime`.
    pub create_time: i64,
    /// Whether it came encrypted.
    pub encrypted: bool,
}

/// The outcome of a URL verification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Whether the answer was `echostr`, nothing else, with status 200.
    pub ok: bool,
    /// The `echostr` that was sent.
    pub echostr: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The answer's body.
    pub body: Option<String>,
    /// In milliseconds.
    pub duration_ms: f64,
    /// The mistake, in words.
    pub detail: Option<String>,
}
