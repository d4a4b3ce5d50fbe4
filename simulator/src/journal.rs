//! The journal: everything that happened, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use kefu_wechat::push::Format;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::config::Mode;
use crate::faults::path_matches;
use crate::push::report::Try;

/// The most bytes of JSON that an entry keeps of a request or a message.
pub(crate) const MAX_ENTRY_BYTES: usize = 64 * 1_024;

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
    /// The user's action, as in the order to push; its kind alone if it has more than 64 KiB.
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

/// The latest entries, without a gap in their numbers.
#[derive(Default)]
pub(crate) struct Log {
    entries: VecDeque<Arc<Entry>>,
    last: watch::Sender<u64>,
}

impl Log {
    /// The number of the last entry, 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Reports every new entry.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Records an entry and forgets the oldest entries beyond `capacity`.
    pub(crate) fn append(
        &mut self,
        time_ms: i64,
        account: Option<String>,
        user: Option<String>,
        event: Event,
        capacity: usize,
    ) {
        let seq = self.last() + 1;
        self.entries.push_back(Arc::new(Entry { seq, time_ms, account, user, event }));
        while self.entries.len() > capacity {
            self.entries.pop_front();
        }
        self.last.send_replace(seq);
    }

    /// The entries that match the filter.
    pub(crate) fn find(&self, filter: &Filter) -> Vec<Arc<Entry>> {
        let first = self.entries.front().map_or(0, |entry| entry.seq);
        let skip = usize::try_from((filter.since + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).filter(|entry| filter.matches(entry)).cloned().collect()
    }

    /// Forgets all entries. The numbers go on. Returns how many entries the log had.
    pub(crate) fn clear(&mut self) -> usize {
        let count = self.entries.len();
        self.entries.clear();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(log: &mut Log, user: &str) {
        let call = ApiCall {
            method: "POST".to_owned(),
            path: "/cgi-bin/message/custom/send".to_owned(),
            request: serde_json::Value::Null,
            token_serial: None,
            status: Some(200),
            errcode: Some(0),
            errmsg: None,
            delivered: Some(user == "oA"),
            fault: None,
        };
        log.append(0, None, Some(user.to_owned()), Event::ApiCall(call), 3);
    }

    fn numbers(log: &Log, filter: &Filter) -> Vec<u64> {
        log.find(filter).iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn the_oldest_entries_are_forgotten_and_numbers_go_on_after_a_clearing() {
        let mut log = Log::default();
        (0..5).for_each(|_| append(&mut log, "oA"));
        assert_eq!(numbers(&log, &Filter::default()), [3, 4, 5]);
        assert_eq!(numbers(&log, &Filter::since(4)), [5]);
        assert_eq!(log.clear(), 3);
        append(&mut log, "oA");
        assert_eq!(numbers(&log, &Filter::default()), [6]);
    }

    #[test]
    fn a_filter_asks_for_everything_it_names() {
        let mut log = Log::default();
        ["oA", "oB", "oA"].iter().for_each(|user| append(&mut log, user));
        assert_eq!(numbers(&log, &Filter::delivered(1)), [3]);
        let of_b = Filter { user: Some("oB".to_owned()), path: Some("custom/send".to_owned()), ..Filter::default() };
        assert_eq!(numbers(&log, &of_b), [2]);
        let pushes = Filter { kind: Some("push".to_owned()), ..Filter::default() };
        assert!(numbers(&log, &pushes).is_empty());
    }
}
