//! A broker that behaves on demand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tokio::sync::watch;

use super::*;

/// What the broker does with a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Stores it and confirms.
    Up,
    /// Says at once that it is unavailable.
    Down,
    /// Neither stores nor answers, but its connection stays.
    Hanging,
    /// Stores, and does not answer.
    Mute,
}

pub(super) struct Broker {
    mode: watch::Sender<Mode>,
    stored: Mutex<Vec<(String, u32)>>,
    asked: AtomicU32,
}

impl Broker {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { mode: watch::channel(Mode::Up).0, stored: Mutex::default(), asked: AtomicU32::new(0) })
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// How often it was asked to store something.
    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn stored(&self) -> Vec<(String, u32)> {
        self.stored.lock().unwrap().clone()
    }

    /// The messages of each user in the order in which they were stored first.
    pub(super) fn by_user(&self) -> BTreeMap<String, Vec<u32>> {
        let mut users = BTreeMap::<String, Vec<u32>>::new();
        for (user, id) in self.stored() {
            let ids = users.entry(user).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        users
    }

    /// The same for one user.
    pub(super) fn of(&self, user: &str) -> Vec<u32> {
        self.by_user().remove(user).unwrap_or_default()
    }

    fn store(&self, envelope: &Envelope) {
        let (user, id) = (envelope.push.from_user.as_str(), envelope.push.msg_id.as_ref().unwrap());
        self.stored.lock().unwrap().push((user.to_owned(), id.parse().unwrap()));
    }
}

#[async_trait]
impl Publisher for Broker {
    async fn publish(&self, envelope: &Envelope, _: Turn) -> Result<(), QueueError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut mode = self.mode.subscribe();
        loop {
            let now = *mode.borrow_and_update();
            match now {
                Mode::Up => {
                    self.store(envelope);
                    return Ok(());
                }
                Mode::Down => return Err(QueueError::Unavailable("down".into())),
                Mode::Hanging => {}
                Mode::Mute => {
                    self.store(envelope);
                    while *mode.borrow_and_update() == Mode::Mute {
                        mode.changed().await.unwrap();
                    }
                    return Err(QueueError::Unavailable("lost".into()));
                }
            }
            mode.changed().await.unwrap();
        }
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        self
    }

    fn health(&self) -> Health {
        match *self.mode.borrow() {
            Mode::Down => Health::Down("down".to_owned()),
            _ => Health::Up,
        }
    }

    async fn close(&self, _: Duration) {}
}
