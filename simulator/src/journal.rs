//! The journal: everything that happened, in order.

use kefu_wechat::push::Format;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Mode;
use crate::faults::path_matches;
use crate::push::report::Try;

mod log;

pub(crate) use log::Log;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 1 without a gap, also across a clearing of the journal.
    pub seq: u64,
    /// The simulator's time, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The appid, if it is known.
    pub account: Option<String>,
    /// The openid, if there is one.
    pub user: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A try of a push left.
    Push(PushSent),
    /// A try of a push ended.
    PushAnswer(PushAnswered),
    /// The API was called.
    ApiCall(ApiCall),
}

/// A try of a push that left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushSent {
    /// As in the push's report.
    pub push_id: u64,
    /// From 1.
    pub copy: u32,
    /// From 1.
    #[serde(rename = "try")]
    pub number: u32,
    /// `MsgId`, if the push has one.
    pub msg_id: Option<String>,
    /// XML or JSON.
    pub format: Format,
    /// The mode.
    pub mode: Mode,
    /// What the user did.
    pub message: Value,
}

/// A try of a push that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushAnswered {
    /// As in the push's report.
    pub push_id: u64,
    /// From 1.
    pub copy: u32,
    /// How it ended.
    #[serde(flatten)]
    pub answer: Try,
    /// Whether the user now sees that the service is out of order.
    pub fault_notice: bool,
}

/// A call of the API, written down at the moment it took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiCall {
    /// `GET` or `POST`.
    pub method: String,
    /// For example `/cgi-bin/message/custom/send`.
    pub path: String,
    /// A body in JSON, the parameters of a GET, or filename and size of an upload; without secrets and tokens.
    pub request: Value,
    /// The number of the call's access_token, in the order of issue; absent without a token that was issued.
    pub token_serial: Option<u64>,
    /// The HTTP status; absent if the connection was cut.
    pub status: Option<u16>,
    /// The errcode; 0 for success, absent if the answer has none that can be read.
    pub errcode: Option<i64>,
    /// The errmsg, if there is one.
    pub errmsg: Option<String>,
    /// For custom/send: whether the user has received the message, whatever the answer said.
    pub delivered: Option<bool>,
    /// The kind of the fault that changed the answer, if one did.
    pub fault: Option<String>,
}

/// A choice of entries; an empty filter means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Only entries with a higher number.
    pub since: u64,
    /// Only this appid.
    pub account: Option<String>,
    /// Only this openid.
    pub user: Option<String>,
    /// `push`, `push_answer` or `api_call`.
    pub kind: Option<String>,
    /// Only API calls whose path ends so, for example `custom/send`.
    pub path: Option<String>,
    /// Only custom/send calls that did (or did not) reach the user.
    pub delivered: Option<bool>,
}

impl Filter {
    /// All entries after a number.
    pub fn since(since: u64) -> Self {
        Self { since, ..Self::default() }
    }

    /// The custom/send calls after a number that reached a user.
    pub fn delivered(since: u64) -> Self {
        Self { since, delivered: Some(true), ..Self::default() }
    }

    /// Whether an entry is wanted.
    pub fn matches(&self, entry: &Entry) -> bool {
        let wanted = |limit: &Option<String>, given: &Option<String>| limit.is_none() || limit == given;
        let (kind, path, delivered) = match &entry.event {
            Event::Push(_) => ("push", None, None),
            Event::PushAnswer(_) => ("push_answer", None, None),
            Event::ApiCall(call) => ("api_call", Some(call.path.as_str()), call.delivered),
        };
        entry.seq > self.since
            && wanted(&self.account, &entry.account)
            && wanted(&self.user, &entry.user)
            && self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.path.as_deref().is_none_or(|wanted| path.is_some_and(|path| path_matches(path, wanted)))
            && self.delivered.is_none_or(|wanted| delivered == Some(wanted))
    }
}
