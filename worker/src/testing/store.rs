//! The store's seams in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::{SessionKey, UserKey};
use kefu_messages::window::{Opening, Refused, Window};
use kefu_store::{
    Claim, Claims, Exchange, Media, Messages, Opened, Order, Place, Probe, Progress, StoreError, Stores, Windows,
};
use tokio::time::Instant;

mod conversations;
mod ledger;
mod tokens;

pub(crate) use ledger::Entry;
use tokens::TokenEntry;

#[derive(Default)]
pub(crate) struct MemoryStore {
    jobs: Mutex<HashMap<MessageKey, Entry>>,
    tokens: Mutex<HashMap<String, TokenEntry>>,
    media: Mutex<HashMap<(String, String), (String, Instant)>>,
    windows: Mutex<HashMap<SessionKey, Window>>,
    messages: Mutex<HashMap<String, Noted>>,
    pub(super) conversations: Mutex<HashMap<SessionKey, Vec<(MessageKey, Exchange)>>>,
    /// The absent messages of each user, and when work on each began.
    order: Mutex<HashMap<UserKey, Vec<(MessageKey, Instant)>>>,
    down: AtomicBool,
    refused: AtomicU64,
}

/// The record of a backend's message.
#[derive(Default)]
struct Noted {
    fingerprint: Option<String>,
    /// All progress of the message, in order.
    progress: Vec<Progress>,
}

impl MemoryStore {
    pub(crate) fn stores(this: &Arc<Self>) -> Stores {
        Stores {
            claims: this.clone(),
            ledger: this.clone(),
            tokens: this.clone(),
            media: this.clone(),
            windows: this.clone(),
            messages: this.clone(),
            conversations: this.clone(),
            order: this.clone(),
            seats: None,
            probe: this.clone(),
        }
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How many calls found the store down.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    pub(crate) fn forget_windows(&self) {
        self.windows.lock().unwrap().clear();
    }

    pub(crate) fn entry(&self, key: &MessageKey) -> Entry {
        self.jobs.lock().unwrap().get(key).cloned().unwrap_or_default()
    }

    /// Writes an entry as a dead worker left it, with a lease that still runs for `lease`.
    pub(crate) fn leave_behind(&self, key: &MessageKey, entry: Entry, lease: Duration) {
        let lease = Some(("dead worker".to_owned(), Instant::now() + lease));
        self.jobs.lock().unwrap().insert(key.clone(), Entry { fence: 1, lease, ..entry });
    }

    /// Takes the message from the holder of its lease.
    pub(crate) fn steal(&self, key: &MessageKey) {
        let mut jobs = self.jobs.lock().unwrap();
        let entry = jobs.get_mut(key).unwrap();
        entry.fence += 1;
        entry.lease = Some(("thief".to_owned(), Instant::now() + Duration::from_secs(3_600)));
    }

    /// All progress of a backend's message, in order.
    pub(crate) fn progress_of(&self, key: &MessageKey) -> Vec<Progress> {
        self.messages.lock().unwrap().get(&key.id()).map(|noted| noted.progress.clone()).unwrap_or_default()
    }

    pub(crate) fn is_leased(&self, key: &MessageKey) -> bool {
        self.entry(key).lease.is_some_and(|(_, until)| until > Instant::now())
    }

    fn up(&self) -> Result<(), StoreError> {
        match self.down.load(Ordering::SeqCst) {
            false => Ok(()),
            true => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                Err(StoreError::Unavailable("down".into()))
            }
        }
    }
}

#[async_trait]
impl Media for MemoryStore {
    async fn get(&self, appid: &str, sha256: &str) -> Result<Option<String>, StoreError> {
        self.up()?;
        let media = self.media.lock().unwrap();
        let found = media.get(&(appid.to_owned(), sha256.to_owned()));
        Ok(found.filter(|(_, until)| *until > Instant::now()).map(|(media_id, _)| media_id.clone()))
    }

    async fn put(&self, appid: &str, sha256: &str, media_id: &str, keep_for: Duration) -> Result<(), StoreError> {
        self.up()?;
        let until = Instant::now() + keep_for;
        self.media.lock().unwrap().insert((appid.to_owned(), sha256.to_owned()), (media_id.to_owned(), until));
        Ok(())
    }

    async fn forget(&self, appid: &str, sha256: &str, media_id: &str) -> Result<(), StoreError> {
        self.up()?;
        let key = (appid.to_owned(), sha256.to_owned());
        let mut media = self.media.lock().unwrap();
        if media.get(&key).is_some_and(|(known, _)| known == media_id) {
            media.remove(&key);
        }
        Ok(())
    }
}

#[async_trait]
impl Windows for MemoryStore {
    async fn get(&self, user: &SessionKey) -> Result<Window, StoreError> {
        self.up()?;
        Ok(self.windows.lock().unwrap().get(user).cloned().unwrap_or_default())
    }

    async fn open(
        &self,
        user: &SessionKey,
        opening: Opening,
        by: &MessageKey,
        at_ms: u64,
        _keep_for: Duration,
    ) -> Result<Window, StoreError> {
        self.up()?;
        let mut windows = self.windows.lock().unwrap();
        let window = windows.entry(user.clone()).or_default();
        window.open(opening, by, at_ms);
        Ok(window.clone())
    }

    async fn count(
        &self,
        user: &SessionKey,
        seen: &Window,
        by: &MessageKey,
        step: u32,
        _keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.up()?;
        if let Some(window) = self.windows.lock().unwrap().get_mut(user) {
            window.count(seen, by, step);
        }
        Ok(())
    }

    async fn refuse(
        &self,
        user: &SessionKey,
        seen: &Window,
        refused: Refused,
        _keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.up()?;
        self.windows.lock().unwrap().entry(user.clone()).or_default().refuse(seen, refused);
        Ok(())
    }

    async fn transfer(&self, user: &SessionKey, until_ms: u64, _keep_for: Duration) -> Result<(), StoreError> {
        self.up()?;
        self.windows.lock().unwrap().entry(user.clone()).or_default().transfer(until_ms);
        Ok(())
    }

    async fn forget(&self, user: &SessionKey) -> Result<(), StoreError> {
        self.up()?;
        self.windows.lock().unwrap().remove(user);
        Ok(())
    }
}

#[async_trait]
impl Order for MemoryStore {
    async fn place(&self, user: &UserKey, message: &MessageKey) -> Result<Place, StoreError> {
        self.up()?;
        let order = self.order.lock().unwrap();
        let absent = order.get(user).map(Vec::as_slice).unwrap_or_default();
        let own = absent.iter().position(|(absent, _)| absent == message);
        let earlier = absent[..own.unwrap_or(absent.len())].last();
        Ok(Place { has_left: own.is_some(), earlier_begun_ago: earlier.map(|(_, begun)| begun.elapsed()) })
    }

    async fn leave(
        &self,
        user: &UserKey,
        message: &MessageKey,
        begun_ago: Duration,
        _keep_for: Duration,
    ) -> Result<(), StoreError> {
        self.up()?;
        let mut order = self.order.lock().unwrap();
        let absent = order.entry(user.clone()).or_default();
        if absent.iter().all(|(absent, _)| absent != message) {
            absent.push((message.clone(), Instant::now().checked_sub(begun_ago).unwrap()));
        }
        Ok(())
    }

    async fn end(&self, user: &UserKey, message: &MessageKey) -> Result<(), StoreError> {
        self.up()?;
        if let Some(absent) = self.order.lock().unwrap().get_mut(user) {
            absent.retain(|(absent, _)| absent != message);
        }
        Ok(())
    }
}

#[async_trait]
impl Probe for MemoryStore {
    async fn probe(&self) -> Result<(), StoreError> {
        self.up()
    }
}

#[async_trait]
impl Claims for MemoryStore {
    async fn claim(&self, _key: &MessageKey, _owner: &str, _pending_for: Duration) -> Result<Claim, StoreError> {
        Ok(Claim::Won)
    }

    async fn complete(&self, _key: &MessageKey, _answer: &str, _done_for: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(&self, _key: &MessageKey, _owner: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Messages for MemoryStore {
    async fn open(&self, id: &str, fingerprint: &str, _keep_for: Duration) -> Result<Opened, StoreError> {
        let found = self.find(id, fingerprint).await?;
        if found == Opened::New {
            self.messages.lock().unwrap().entry(id.to_owned()).or_default().fingerprint = Some(fingerprint.to_owned());
        }
        Ok(found)
    }

    async fn find(&self, id: &str, fingerprint: &str) -> Result<Opened, StoreError> {
        self.up()?;
        let messages = self.messages.lock().unwrap();
        let noted = messages.get(id);
        let known = noted.and_then(|noted| noted.fingerprint.as_deref());
        Ok(Opened::of(fingerprint, known, noted.and_then(|noted| noted.progress.last().cloned())))
    }

    async fn set(&self, id: &str, progress: &Progress, _keep_for: Duration) -> Result<(), StoreError> {
        self.up()?;
        self.messages.lock().unwrap().entry(id.to_owned()).or_default().progress.push(progress.clone());
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Progress>, StoreError> {
        self.up()?;
        Ok(self.messages.lock().unwrap().get(id).and_then(|noted| noted.progress.last().cloned()))
    }
}
