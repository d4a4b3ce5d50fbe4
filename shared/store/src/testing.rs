//! The seams in memory, for the tests of other crates. The contract suite holds this store to the same promises as the others.

// For tests alone, which end at the first fault of their own.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::{SessionKey, UserKey};
use kefu_messages::window::Window;
use tokio::time::Instant;

use crate::{Probe, Progress, StoreError, Stores};

mod claims;
mod conversations;
mod ledger;
mod media;
mod messages;
mod order;
mod tokens;
mod windows;

use claims::Hold;
use conversations::Remembered;
pub use ledger::Entry;
use messages::Note;
use order::Absent;
use tokens::TokenEntry;

/// All seams in memory. Time is tokio's, so that a test may pause it.
#[derive(Default)]
pub struct MemoryStore {
    claims: Shelf<MessageKey, Hold>,
    jobs: Shelf<MessageKey, Entry>,
    tokens: Mutex<HashMap<String, TokenEntry>>,
    media: Shelf<(String, String), String>,
    windows: Shelf<SessionKey, Window>,
    messages: Shelf<String, Note>,
    conversations: Mutex<HashMap<SessionKey, Vec<Remembered>>>,
    order: Shelf<UserKey, Vec<Absent>>,
    down: AtomicBool,
    refused: AtomicU64,
}

/// Entries that end.
struct Shelf<K, V>(Mutex<HashMap<K, (V, Instant)>>);

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Shelf<K, V> {
    /// The entry, if it has not ended.
    fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap().get(key).filter(|(_, end)| *end > Instant::now()).map(|(value, _)| value.clone())
    }

    /// Works on the entry in one step. `work` is given the entry, if it has not ended, and says what to put in its place and for
    /// how long: `None` in place of the entry takes it away, `None` in place of the time leaves the end as it is.
    fn change<T>(&self, key: &K, work: impl FnOnce(Option<V>) -> (Option<V>, Option<Duration>, T)) -> T {
        let mut entries = self.0.lock().unwrap();
        let now = Instant::now();
        let (found, end) = entries.remove(key).filter(|(_, end)| *end > now).unzip();
        let (value, keep_for, result) = work(found);
        if let Some((value, end)) = value.zip(keep_for.map(|keep_for| now + keep_for).or(end)) {
            entries.insert(key.clone(), (value, end));
        }
        result
    }

    fn put(&self, key: &K, value: V, keep_for: Duration) {
        self.change(key, |_| (Some(value), Some(keep_for), ()));
    }
}

/// A time that no test outlasts.
const LONG: Duration = Duration::from_secs(30 * 86_400);

impl MemoryStore {
    /// The seams on this store.
    pub fn stores(this: &Arc<Self>) -> Stores {
        Stores::on(Arc::clone(this))
    }

    /// While the store is down, every call fails as unavailable.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How many calls found the store down.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Forgets the windows of all users.
    pub fn forget_windows(&self) {
        self.windows.0.lock().unwrap().clear();
    }

    /// The ledger's entry of a message, or an empty one.
    pub fn entry(&self, key: &MessageKey) -> Entry {
        self.jobs.get(key).unwrap_or_default()
    }

    /// Writes an entry as a dead worker left it, with a lease that still runs for `lease`.
    pub fn leave_behind(&self, key: &MessageKey, entry: Entry, lease: Duration) {
        let lease = Some(("dead worker".to_owned(), Instant::now() + lease));
        self.jobs.put(key, Entry { fence: 1, lease, ..entry }, LONG);
    }

    /// Takes the message from the holder of its lease.
    ///
    /// # Panics
    /// When nobody has claimed the message.
    pub fn steal(&self, key: &MessageKey) {
        self.jobs.change(key, |entry| {
            let entry = entry.unwrap();
            let lease = Some(("thief".to_owned(), Instant::now() + Duration::from_secs(3_600)));
            (Some(Entry { fence: entry.fence + 1, lease, ..entry }), None, ())
        });
    }

    /// Every progress of a backend's message that the store was told, in order.
    pub fn progress_of(&self, key: &MessageKey) -> Vec<Progress> {
        self.messages.get(&key.id()).map(|note| note.told).unwrap_or_default()
    }

    /// Whether somebody holds the lease of the message.
    pub fn is_leased(&self, key: &MessageKey) -> bool {
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
impl Probe for MemoryStore {
    async fn probe(&self) -> Result<(), StoreError> {
        self.up()
    }
}
