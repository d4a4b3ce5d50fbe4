//! media_ids in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{Media, StoreError};

#[async_trait]
impl Media for MemoryStore {
    async fn get(&self, appid: &str, sha256: &str) -> Result<Option<String>, StoreError> {
        self.up()?;
        Ok(self.media.get(&(appid.to_owned(), sha256.to_owned())))
    }

    async fn put(&self, appid: &str, sha256: &str, media_id: &str, keep_for: Duration) -> Result<(), StoreError> {
        self.up()?;
        self.media.put(&(appid.to_owned(), sha256.to_owned()), media_id.to_owned(), keep_for);
        Ok(())
    }

    async fn forget(&self, appid: &str, sha256: &str, media_id: &str) -> Result<(), StoreError> {
        self.up()?;
        let key = (appid.to_owned(), sha256.to_owned());
        self.media.change(&key, |known| (known.filter(|known| known != media_id), None, ()));
        Ok(())
    }
}
