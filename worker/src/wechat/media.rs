//! media_ids of pictures. Each picture is uploaded once per account and content, and its media_id is used until shortly
//! before WeChat forgets it.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/kf-mgnt/kf-message/uploadTempMedia.html>.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kefu_messages::reply::picture::{self, PictureError};
use kefu_runtime::disk::Disk;
use kefu_store::Media;
use parking_lot::Mutex;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::WeChat;
use super::client::Picture;
use super::failure::Failure;
use super::single_flight::SingleFlight;

/// How long the worker uses a media_id. WeChat keeps the media for 3 days.
const KEEP_FOR: Duration = Duration::from_secs(60 * 3_600);

/// From this number of known uploads on, the worker forgets the uploads that have no waiting caller.
const MANY_FLIGHTS: usize = 64;

/// The most digests that the worker remembers, since webhooks and backends may always name new files.
const MOST_DIGESTS: usize = 1_024;

/// The uploads of the pictures that replies name.
pub(crate) struct Uploads {
    media: Arc<dyn Media>,
    wechat: Arc<WeChat>,
    max_bytes: u64,
    disk: Disk,
    digests: Mutex<HashMap<PathBuf, (Version, String)>>,
    /// The uploads, by appid and digest.
    flights: Mutex<HashMap<(String, String), Arc<SingleFlight>>>,
}

/// The time and size of a file, which change when the file does.
type Version = (Option<SystemTime>, u64);

/// A picture that WeChat has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uploaded {
    sha256: String,
    pub(crate) media_id: String,
}

impl Uploads {
    /// `max_bytes`: the size of the largest picture that the worker uploads.
    pub(crate) fn new(media: Arc<dyn Media>, wechat: Arc<WeChat>, max_bytes: u64) -> Self {
        let (disk, digests, flights) = (Disk::default(), Mutex::default(), Mutex::default());
        Self { media, wechat, max_bytes, disk, digests, flights }
    }

    /// The account's media_id of the file, whose [`digest`](Self::digest) is `sha256`. The media_id comes from the
    /// store, or from an upload with `token`.
    pub(crate) async fn media_id(
        &self,
        appid: &str,
        file: &Path,
        sha256: String,
        token: &SecretString,
    ) -> Result<Uploaded, Failure> {
        if let Some(uploaded) = self.known(appid, &sha256).await? {
            return Ok(uploaded);
        }
        let flight = self.flight(appid, &sha256);
        let upload = async {
            match self.known(appid, &sha256).await? {
                Some(uploaded) => Ok(uploaded),
                None => self.upload(appid, file, token).await,
            }
        };
        flight.run(upload).await
    }

    fn flight(&self, appid: &str, sha256: &str) -> Arc<SingleFlight> {
        let mut flights = self.flights.lock();
        if flights.len() >= MANY_FLIGHTS {
            flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        }
        Arc::clone(flights.entry((appid.to_owned(), sha256.to_owned())).or_default())
    }

    /// Drops a media_id that WeChat refused.
    pub(crate) async fn forget(&self, appid: &str, refused: &Uploaded) {
        if let Err(error) = self.media.forget(appid, &refused.sha256, &refused.media_id).await {
            tracing::debug!(%error, "the refused media_id stays in the store");
        }
    }

    async fn known(&self, appid: &str, sha256: &str) -> Result<Option<Uploaded>, Failure> {
        let media_id = self.media.get(appid, sha256).await?;
        Ok(media_id.map(|media_id| Uploaded { sha256: sha256.to_owned(), media_id }))
    }

    async fn upload(&self, appid: &str, file: &Path, token: &SecretString) -> Result<Uploaded, Failure> {
        let (path, max_bytes) = (file.to_owned(), self.max_bytes);
        let (content, format) = self.read(file, move || picture::read(&path, max_bytes)).await?;
        // The digest is that of the uploaded content, since the file may have changed after its digest was taken.
        let sha256 = hex::encode(Sha256::digest(&content));
        let media_id = self.wechat.upload(token, Picture { content, format }).await?;
        if let Err(error) = self.media.put(appid, &sha256, &media_id, KEEP_FOR).await {
            tracing::debug!(%error, "the media_id is not stored; the picture is uploaded again next time");
        }
        Ok(Uploaded { sha256, media_id })
    }

    /// The SHA-256 of the file. The worker reads the file again only after a change of its time or size.
    pub(crate) async fn digest(&self, file: &Path) -> Result<String, Failure> {
        let (path, max_bytes) = (file.to_owned(), self.max_bytes);
        let known = self.digests.lock().get(file).cloned();
        let found = self.read(file, move || {
            let metadata = std::fs::metadata(&path).map_err(|error| PictureError::Unreadable(path.clone(), error))?;
            let version = (metadata.modified().ok(), metadata.len());
            if let Some(known) = known.filter(|(known, _)| *known == version) {
                return Ok(known);
            }
            let (content, _) = picture::read(&path, max_bytes)?;
            Ok((version, hex::encode(Sha256::digest(&content))))
        });
        let (version, digest) = found.await?;
        let mut digests = self.digests.lock();
        if digests.len() >= MOST_DIGESTS && !digests.contains_key(file) {
            // The worker reads the files that are still in use once more.
            digests.clear();
        }
        digests.insert(file.to_owned(), (version, digest.clone()));
        Ok(digest)
    }

    /// Reads the file with `work`, on a disk that may hang.
    async fn read<T: Send + 'static>(
        &self,
        file: &Path,
        work: impl FnOnce() -> Result<T, PictureError> + Send + 'static,
    ) -> Result<T, Failure> {
        let unreadable = |error| PictureError::Unreadable(file.to_owned(), error);
        let read = self.disk.call(|| Ok(work())).await.map_err(unreadable).flatten();
        read.map_err(|error| Failure::File(error.into()))
    }
}

#[cfg(test)]
mod tests;
