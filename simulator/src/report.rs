//! What is asked of the pushing side, and what it reports.

use kefu_wechat::push::Format;
use serde::{Deserialize, Serialize};

use crate::config::Mode;
use crate::message::{Message, MsgId};
use crate::push::Cdata;

/// A push that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// The appid.
    pub account: String,
    /// The user's openid; WeChat knows the user from then on.
    pub user: String,
    /// What the user does.
    pub message: Message,
    /// XML or JSON; the account's when left out.
    #[serde(default)]
    pub format: Option<Format>,
    /// The account's when left out.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// How texts stand in XML; split when left out.
    #[serde(default)]
    pub cdata: Cdata,
    /// A new number beyond 2^53 when left out; never given to events.
    #[serde(default)]
    pub msg_id: Option<MsgId>,
    /// `CreateTime` in seconds since the Unix epoch; now when left out.
    #[serde(default)]
    pub create_time: Option<i64>,
    /// How many copies of the very same push are sent, 1 to 100; each copy has its own tries.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the copies are sent at the same moment instead of one after the other.
    #[serde(default)]
    pub at_once: bool,
    /// How often each copy is tried in all, 1 to 10; [`crate::Limits::push_tries`] when left out.
    #[serde(default)]
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

/// What became of a push.
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
    /// What is wrong with the answer, in words.
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

/// What became of a URL verification.
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
    /// What is wrong, in words.
    pub detail: Option<String>,
}

/// A stream of pushes that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadRequest {
    /// The appid.
    pub account: String,
    /// How many users write in turn, 1 to 100,000. The next push of a user waits until the former is answered.
    pub users: u32,
    /// How many pushes in all, 1 to 100,000.
    pub pushes: u32,
    /// How many a second, above 0; the whole must not take longer than 10 minutes.
    pub per_second: f64,
    /// What the users write, followed by a space and the number of the user's message, from 1.
    #[serde(default = "load_text")]
    pub text: String,
    /// The start of the users' openids; their number follows, from 0.
    #[serde(default = "load_user")]
    pub user_prefix: String,
    /// The account's when left out.
    #[serde(default)]
    pub format: Option<Format>,
    /// The account's when left out.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Whether the pushes are written to the journal. API calls always are.
    #[serde(default)]
    pub journal: bool,
}

fn load_text() -> String {
    "load".to_owned()
}

fn load_user() -> String {
    "oLoad".to_owned()
}

/// What became of a stream of pushes. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The journal's last number before it.
    pub since: u64,
    /// How many pushes were sent.
    pub pushes: u32,
    /// How many were answered well in the end.
    pub answered: u32,
    /// How many were not, after all their tries.
    pub failed: u32,
    /// How many were not sent because the whole took too long.
    pub unsent: u32,
    /// How many requests that took.
    pub tries: u32,
    /// How often each outcome occurred, over all tries.
    pub outcomes: std::collections::BTreeMap<Outcome, u32>,
    /// From the first request to the last answer.
    pub elapsed_ms: f64,
    /// Pushes answered well, a second.
    pub per_second: f64,
    /// From a push's first request to its good answer, over those answered well: half are faster.
    pub p50_ms: f64,
    /// 99 of 100 are faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// How far the most delayed push left after its time: the simulator or the callback cannot keep the pace.
    pub max_late_ms: f64,
}
