//! An operator's order: what to do with which dead letters.

use std::collections::BTreeSet;

use kefu_runtime::clock::now_ms;
use serde::{Deserialize, Serialize};

use super::{DeadLetter, DeadLetters, History, Summary, Walk};
use crate::QueueError;

/// A selection of dead letters. An absent filter excludes none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// The dead letters with one of these ids; all if the list is empty.
    pub ids: Vec<String>,
    /// The dead letters of the account with this appid.
    pub account: Option<String>,
    /// The dead letters with this reason.
    pub reason: Option<String>,
    /// The dead letters that died at this time or later: milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
}

/// What to do with the selected dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Look at them.
    List,
    /// Put them at the tails of their partitions.
    Replay,
    /// Remove them for good.
    Drop,
}

/// An operator's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What to do.
    pub action: Action,
    /// Which dead letters.
    #[serde(default)]
    pub selection: Selection,
    /// Do it with all dead letters, in place of a selection. With neither, nothing is replayed or dropped.
    #[serde(default)]
    pub all: bool,
    /// How many at most, the oldest first.
    #[serde(default)]
    pub max: Option<usize>,
    /// Change nothing, and report what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Also replay dead letters whose sent replies the ledger may have forgotten.
    #[serde(default)]
    pub forgotten: bool,
    /// Report the users' texts and openids.
    #[serde(default)]
    pub with_content: bool,
}

/// The result of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The dead letters that were listed, replayed or dropped, or would have been.
    pub letters: Vec<Summary>,
    /// The dead letters that were selected and left as they are, and why.
    pub left: Vec<Left>,
    /// Why the order broke off, if it did.
    pub error: Option<String>,
}

/// A dead letter that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its id.
    pub id: String,
    /// Why, for people.
    pub why: String,
}

impl Selection {
    /// Whether the selection has this dead letter.
    pub fn takes(&self, letter: &DeadLetter) -> bool {
        let account = letter.envelope.as_ref().ok().map(|envelope| &envelope.account);
        let History { reason, died_at_ms, .. } = &letter.history;
        (self.ids.is_empty() || self.ids.contains(&letter.id))
            && self.account.as_ref().is_none_or(|asked| account == Some(asked))
            && self.reason.as_ref().is_none_or(|asked| asked == reason)
            && self.since_ms.is_none_or(|since_ms| died_at_ms.is_some_and(|died_at_ms| died_at_ms >= since_ms))
    }
}

impl Order {
    /// An order to look at the selected dead letters.
    pub fn list(selection: Selection) -> Self {
        let (max, dry_run, forgotten, with_content) = Default::default();
        Self { action: Action::List, selection, all: false, max, dry_run, forgotten, with_content }
    }

    /// Whether the order would change dead letters and says neither which ones nor that all are meant.
    fn names_none(&self) -> bool {
        self.action != Action::List && !self.all && self.selection == Selection::default()
    }

    /// Carries the order out.
    ///
    /// The report has the error, if one occurred, and everything that was done before it.
    pub async fn carry_out(&self, letters: &dyn DeadLetters) -> Report {
        let mut report = Report::default();
        if self.names_none() {
            report.error = Some("the order says neither which dead letters nor that all are meant".to_owned());
            return report;
        }
        let result = match letters.walk().await {
            Ok(walk) => self.go_through(walk, &mut report).await,
            Err(error) => Err(error),
        };
        report.error = result.err().map(|error| error.to_string());
        report
    }

    async fn go_through(&self, mut walk: Box<dyn Walk>, report: &mut Report) -> Result<(), QueueError> {
        let result = self.each(&mut *walk, report).await;
        // Also after an error: earlier acknowledgements may still be on their way.
        let closed = walk.close().await;
        result.and(closed)
    }

    async fn each(&self, walk: &mut dyn Walk, report: &mut Report) -> Result<(), QueueError> {
        let now_ms = now_ms();
        while self.max.is_none_or(|max| report.letters.len() < max) {
            let Some(letter) = walk.next().await? else { break };
            if !self.selection.takes(&letter) {
                continue;
            }
            let mut leave = |why: String| report.left.push(Left { id: letter.id.clone(), why });
            if self.action == Action::Replay && !self.forgotten && letter.may_be_forgotten(now_ms) {
                leave("it died too long ago: the ledger may have forgotten which of its replies were sent".to_owned());
                continue;
            }
            let done = match self.action {
                Action::Replay if !self.dry_run => walk.replay().await,
                Action::Drop if !self.dry_run => walk.discard().await,
                _ => Ok(()),
            };
            match done {
                Ok(()) => report.letters.push(Summary::of(&letter, self.with_content)),
                Err(QueueError::Refused(why)) => leave(why.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Report {
    /// The ids of `order` that no dead letter has, if all dead letters were looked at.
    pub fn missing<'a>(&self, order: &'a Order) -> Vec<&'a str> {
        if self.error.is_some() || order.max.is_some_and(|max| self.letters.len() >= max) {
            return Vec::new();
        }
        let letters = self.letters.iter().map(|letter| &letter.id);
        let seen: BTreeSet<&String> = letters.chain(self.left.iter().map(|left| &left.id)).collect();
        order.selection.ids.iter().filter(|id| !seen.contains(id)).map(String::as_str).collect()
    }
}
