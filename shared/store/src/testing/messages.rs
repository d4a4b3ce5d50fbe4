//! The messages of backends in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{Messages, Opened, Progress, StoreError};

/// The record of a backend's message.
#[derive(Debug, Clone, Default)]
pub(super) struct Note {
    fingerprint: Option<String>,
    progress: Option<Progress>,
    /// Every progress that the store was told, in order, whether it took effect or not.
    pub(super) told: Vec<Progress>,
}

#[async_trait]
impl Messages for MemoryStore {
    async fn open(&self, id: &str, fingerprint: &str, keep_for: Duration) -> Result<Opened, StoreError> {
        self.up()?;
        Ok(self.messages.change(&id.to_owned(), |note| {
            let note = note.unwrap_or_default();
            let opened = Opened::of(fingerprint, note.fingerprint.as_deref(), note.progress.clone());
            match note.fingerprint {
                Some(_) => (Some(note), None, opened),
                None => (Some(Note { fingerprint: Some(fingerprint.to_owned()), ..note }), Some(keep_for), opened),
            }
        }))
    }

    async fn find(&self, id: &str, fingerprint: &str) -> Result<Opened, StoreError> {
        self.up()?;
        let note = self.messages.get(&id.to_owned()).unwrap_or_default();
        Ok(Opened::of(fingerprint, note.fingerprint.as_deref(), note.progress))
    }

    async fn set(&self, id: &str, progress: &Progress, keep_for: Duration) -> Result<(), StoreError> {
        self.up()?;
        self.messages.change(&id.to_owned(), |note| {
            let mut note = note.unwrap_or_default();
            note.told.push(progress.clone());
            if note.progress.as_ref().is_some_and(|known| !progress.follows(known)) {
                return (Some(note), None, ());
            }
            note.progress = Some(progress.clone());
            (Some(note), Some(keep_for), ())
        });
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Progress>, StoreError> {
        self.up()?;
        Ok(self.messages.get(&id.to_owned()).and_then(|note| note.progress))
    }
}
