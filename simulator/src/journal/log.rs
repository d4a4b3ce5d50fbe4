//! The journal's entries in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Entry, Event, Filter};

/// The latest entries, without a gap in their numbers.
pub(crate) struct Log {
    entries: VecDeque<Arc<Entry>>,
    last: watch::Sender<u64>,
}

impl Default for Log {
    fn default() -> Self {
        Self { entries: VecDeque::new(), last: watch::Sender::new(0) }
    }
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
    use super::super::ApiCall;
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
