//! The ids of uploaded files, by account and content.

use std::time::Duration;

use async_trait::async_trait;

use super::shelf::Shelf;
use super::{EmbeddedStore, StoreError};
use crate::database::Table;
use crate::millis;
use kefu_store::Media;

const MEDIA: Shelf<String> = Shelf::new(Table::MEDIA);

/// No appid and no digest has a `:`.
fn key(appid: &str, sha256: &str) -> String {
    format!("{appid}:{sha256}")
}

#[async_trait]
impl Media for EmbeddedStore {
    async fn get(&self, appid: &str, sha256: &str) -> Result<Option<String>, StoreError> {
        let key = key(appid, sha256);
        self.read(move |transaction, now_ms| Ok(MEDIA.get(transaction, &key, now_ms)?.map(|(media_id, _)| media_id)))
            .await
    }

    async fn put(&self, appid: &str, sha256: &str, media_id: &str, keep_for: Duration) -> Result<(), StoreError> {
        let (key, media_id) = (key(appid, sha256), media_id.to_owned());
        let work = move |transaction: &_, now_ms: u64| {
            MEDIA.put(transaction, &key, &media_id, now_ms.saturating_add(millis(keep_for)))
        };
        self.change(work).await
    }

    async fn forget(&self, appid: &str, sha256: &str, media_id: &str) -> Result<(), StoreError> {
        let (key, media_id) = (key(appid, sha256), media_id.to_owned());
        let work = move |transaction: &_, now_ms| match MEDIA.get(transaction, &key, now_ms)? {
            Some((stored, _)) if stored == media_id => MEDIA.remove(transaction, &key),
            _ => Ok(()),
        };
        self.change(work).await
    }
}
