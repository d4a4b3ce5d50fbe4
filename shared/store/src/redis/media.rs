//! `media_id`s: plain strings that expire.

use std::time::Duration;

use async_trait::async_trait;

use super::{DELETE_IF_EQUAL, Redis, millis};
use crate::{Media, StoreError};

fn name(appid: &str, sha256: &str) -> String {
    format!("kefu:media:{{{appid}}}:{sha256}")
}

#[async_trait]
impl Media for Redis {
    async fn get(&self, appid: &str, sha256: &str) -> Result<Option<String>, StoreError> {
        self.connection.query(redis::cmd("GET").arg(name(appid, sha256))).await
    }

    async fn put(&self, appid: &str, sha256: &str, media_id: &str, keep_for: Duration) -> Result<(), StoreError> {
        let mut put = redis::cmd("SET");
        self.connection.query(put.arg(name(appid, sha256)).arg(media_id).arg("PX").arg(millis(keep_for))).await
    }

    async fn forget(&self, appid: &str, sha256: &str, media_id: &str) -> Result<(), StoreError> {
        self.connection.invoke(DELETE_IF_EQUAL.key(name(appid, sha256)).arg(media_id)).await
    }
}
