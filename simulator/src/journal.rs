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
    /// The number of the entry. Numbers count up from 1 without a gap, even after the journal was cleared.
    pub seq: u64,
    /// The simulator's time, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The appid, if it is known.
    pub account: Option<String>,
    /// The openid, if the entry has one.
    pub user: Option<String>,
    /// The event that the entry records.
    #[serde(flatten)]
    pub event: Event,
}

/// An event that the journal records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The simulator sent a try of a push.
    Push(PushSent),
    /// A try of a push ended.
    PushAnswer(PushAnswered),
    /// A client called the API.
    ApiCall(ApiCall),
}

/// A try of a push, when the simulator sent it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushSent {
    /// The number of the push, as in its report.
    pub push_id: u64,
    /// The number of the copy, from 1.
    pub copy: u32,
    /// The number of the try, from 1.
    #[serde(rename = "try")]
    pub number: u32,
    /// `MsgId`, if the push has one.
    pub msg_id: Option<String>,
    /// XML or JSON.
    pub format: Format,
    /// The mode.
    pub mode: Mode,
    /// The user's action.
    pub message: Value,
}

/// A try of a push, when it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushAnswered {
    /// The number of the push, as in its report.
    pub push_id: u64,
    /// The number of the copy, from 1.
    pub copy: u32,
    /// How the try ended.
    #[serde(flatten)]
    pub answer: Try,
    /// Whether the user now sees that the service is out of order.
    pub fault_notice: bool,
}

/// A call of the API, recorded at the moment the call took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiCall {
    /// `GET` or `POST`.
    pub method: String,
    /// The path of the call, for example `/cgi-bin/message/custom/send`.
    pub path: String,
    /// The body of a JSON call, the parameters of a GET call, or the filename and size of an upload; without secrets
    /// and tokens.
    pub request: Value,
    /// The number of the call's access_token, in the order of issue; absent when the call has no token that the
    /// simulator issued.
    pub token_serial: Option<u64>,
    /// The HTTP status; absent if the simulator cut the connection.
    pub status: Option<u16>,
    /// The errcode: 0 for success, absent if the caller cannot read an errcode from the answer.
    pub errcode: Option<i64>,
    /// The errmsg, if the answer has one.
    pub errmsg: Option<String>,
    /// Whether the user has received the message of a custom/send call, whatever the answer said.
    pub delivered: Option<bool>,
    /// The kind of the fault that changed the answer, if a fault did.
    pub fault: Option<String>,
}

/// A choice of entries. An empty filter chooses all entries.
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
    /// Only API calls whose path ends with this text, for example `custom/send`.
    pub path: Option<String>,
    /// Only custom/send calls that reached the user, or only those calls that did not reach the user.
    pub delivered: Option<bool>,
}

impl Filter {
    /// A filter for all entries after a number.
    pub fn since(since: u64) -> Self {
        Self { since, ..Self::default() }
    }

    /// A filter for the custom/send calls after a number that reached a user.
    pub fn delivered(since: u64) -> Self {
        Self { since, delivered: Some(true), ..Self::default() }
    }

    /// Whether the filter chooses an entry.
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
