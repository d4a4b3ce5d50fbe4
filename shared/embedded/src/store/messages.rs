//! The state of messages of a team's own backend.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use super::{EmbeddedStore, StoreError};
use crate::database::Table;
use crate::millis;
use kefu_store::{Messages, Opened, Progress};

const MESSAGES: Shelf<Note> = Shelf::new(Table::MESSAGES);

#[derive(Default, Serialize, Deserialize)]
struct Note {
    /// `None` if the message was not opened, or its note is forgotten.
    fingerprint: Option<String>,
    progress: Option<Progress>,
}

#[async_trait]
impl Messages for EmbeddedStore {
    async fn open(&self, id: &str, fingerprint: &str, keep_for: Duration) -> Result<Opened, StoreError> {
        let (id, caller) = (id.to_owned(), fingerprint.to_owned());
        let work = move |transaction: &_, now_ms: u64| {
            let found = MESSAGES.get(transaction, &id, now_ms)?;
            let (found, end_ms) = found.map_or_else(Default::default, |(note, end_ms)| (note, Some(end_ms)));
            let opened = Opened::of(&caller, found.fingerprint.as_deref(), found.progress.clone());
            // A note that is there keeps its time. It is put again, since it may not be on the disk yet.
            let end_ms = end_ms.filter(|_| found.fingerprint.is_some());
            let end_ms = end_ms.unwrap_or(now_ms.saturating_add(millis(keep_for)));
            let note = Note { fingerprint: found.fingerprint.or(Some(caller)), progress: found.progress };
            MESSAGES.put(transaction, &id, &note, end_ms)?;
            Ok(opened)
        };
        self.change(work).await
    }

    async fn find(&self, id: &str, fingerprint: &str) -> Result<Opened, StoreError> {
        let (id, caller) = (id.to_owned(), fingerprint.to_owned());
        self.read(move |transaction, now_ms| {
            let found = MESSAGES.get(transaction, &id, now_ms)?.map(|(note, _)| note).unwrap_or_default();
            Ok(Opened::of(&caller, found.fingerprint.as_deref(), found.progress))
        })
        .await
    }

    async fn set(&self, id: &str, progress: &Progress, keep_for: Duration) -> Result<(), StoreError> {
        let (id, progress) = (id.to_owned(), progress.clone());
        let work = move |transaction: &_, now_ms: u64| {
            let found = MESSAGES.get(transaction, &id, now_ms)?.map(|(note, _)| note).unwrap_or_default();
            if found.progress.as_ref().is_some_and(|known| !progress.follows(known)) {
                return Ok(());
            }
            let note = Note { progress: Some(progress), ..found };
            MESSAGES.put(transaction, &id, &note, now_ms.saturating_add(millis(keep_for)))
        };
        self.change(work).await
    }

    async fn get(&self, id: &str) -> Result<Option<Progress>, StoreError> {
        let id = id.to_owned();
        self.read(move |transaction, now_ms| {
            Ok(MESSAGES.get(transaction, &id, now_ms)?.and_then(|(note, _)| note.progress))
        })
        .await
    }
}
