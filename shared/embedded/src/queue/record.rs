//! The rows of the queue's tables.

use kefu_messages::partition::Partition;
use serde::{Deserialize, Serialize};

/// The first byte of a row. A header in JSON follows, then a line feed, which no header contains, then the body.
const VERSION: u8 = 1;

/// A message as it is stored.
#[derive(Clone, PartialEq)]
pub(super) struct Record {
    pub(super) header: Header,
    /// The envelope as JSON.
    pub(super) body: Vec<u8>,
}

/// Without the user's text.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("header", &self.header).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) partition: Partition,
    /// How often the message was settled as a retry.
    pub(super) attempt: u32,
    /// When the message was published: milliseconds since the epoch.
    pub(super) first_seen_ms: u64,
    /// Why the message last went back to wait, or died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Why the message first went back to wait, or died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_error: Option<String>,
    /// How often the message was a dead letter and was replayed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) replays: u32,
    /// For a dead letter only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) death: Option<Death>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Death {
    /// `DeadReason::as_str`.
    pub(super) reason: String,
    pub(super) at_ms: u64,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Record {
    pub(super) fn new(partition: Partition, first_seen_ms: u64, body: Vec<u8>) -> Self {
        let header =
            Header { partition, attempt: 0, first_seen_ms, error: None, first_error: None, replays: 0, death: None };
        Self { header, body }
    }

    /// Records why the message goes back to wait, or dies.
    pub(super) fn fails(&mut self, error: String) {
        self.header.first_error.get_or_insert_with(|| error.clone());
        self.header.error = Some(error);
    }

    /// The dead letter in the form in which it goes back to its partition: a new message, except for its age.
    pub(super) fn replayed(self) -> Self {
        let Header { partition, first_seen_ms, replays, .. } = self.header;
        let mut new = Self::new(partition, first_seen_ms, self.body);
        new.header.replays = replays.saturating_add(1);
        new
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + 128);
        bytes.push(VERSION);
        // Strings and numbers only, into memory: this cannot fail.
        serde_json::to_writer(&mut bytes, &self.header).ok();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Reads a row that [`Record::to_bytes`] wrote. Any other row becomes the body as a whole, so that it ends as an
    /// undecodable dead letter and does not block its partition.
    pub(super) fn from_bytes(bytes: &[u8], partition: Partition) -> Self {
        let known = || {
            let rest = bytes.strip_prefix(&[VERSION])?;
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            let header = serde_json::from_slice(&rest[..end]).ok()?;
            Some(Self { header, body: rest[end + 1..].to_vec() })
        };
        known().unwrap_or_else(|| Self::new(partition, 0, bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let mut record = Record::new(Partition::from(3), 1_700_000_000_000, b"{\"v\":1}\nmore".to_vec());
        record.header.error = Some("line one\nline two".to_owned());
        assert_eq!(Record::from_bytes(&record.to_bytes(), Partition::from(0)), record);
    }

    #[test]
    fn a_row_of_another_version_becomes_a_body_that_is_no_envelope() {
        let record = Record::from_bytes(b"\x02{}\n{}", Partition::from(7));
        assert_eq!(record.header.partition, Partition::from(7));
        assert_eq!(record.body, b"\x02{}\n{}");
    }
}
