//! The answers to a request under each fate of store and queue, in simulated time.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Mutex;

use async_trait::async_trait;
use kefu_messages::outbound::Outbound;
use kefu_messages::testing::plan;
use kefu_queue::{Publisher, QueueError, Turn};
use kefu_runtime::health::Health;
use kefu_store::testing::MemoryStore;
use kefu_store::{Claim, Claims};
use kefu_wechat::openid::OpenId;

use super::*;
use crate::ANSWER_WITHIN;

/// The store's results for the note that a message is queued, one after the other.
enum Fate {
    Noted,
    Refused,
    Hangs,
}

/// Notes of messages, and claims that are free each time, as if an ingress could not settle them.
#[derive(Default)]
struct Store {
    notes: MemoryStore,
    fates: Mutex<VecDeque<Fate>>,
    published: Mutex<u32>,
    publisher_is_away: Mutex<bool>,
}

#[async_trait]
impl Messages for Store {
    async fn open(&self, id: &str, fingerprint: &str, keep_for: Duration) -> Result<Opened, StoreError> {
        self.notes.open(id, fingerprint, keep_for).await
    }

    async fn find(&self, id: &str, fingerprint: &str) -> Result<Opened, StoreError> {
        self.notes.find(id, fingerprint).await
    }

    async fn set(&self, id: &str, progress: &Progress, keep_for: Duration) -> Result<(), StoreError> {
        let fate = self.fates.lock().unwrap().pop_front();
        match fate {
            Some(Fate::Refused) => Err(StoreError::Unavailable("down".into())),
            Some(Fate::Hangs) => pending().await,
            Some(Fate::Noted) | None => self.notes.set(id, progress, keep_for).await,
        }
    }

    async fn get(&self, id: &str) -> Result<Option<Progress>, StoreError> {
        self.notes.get(id).await
    }
}

#[async_trait]
impl Claims for Store {
    async fn claim(&self, _: &MessageKey, _: &str, _: Duration) -> Result<Claim, StoreError> {
        Ok(Claim::Won)
    }

    async fn complete(&self, _: &MessageKey, _: &str, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(&self, _: &MessageKey, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
    fn local(self: Arc<Self>) -> Arc<dyn Claims> {
        self
    }
}

#[async_trait]
impl Publisher for Store {
    async fn publish(&self, _: &Envelope, _: Turn) -> Result<(), QueueError> {
        if *self.publisher_is_away.lock().unwrap() {
            return Err(QueueError::Unavailable("down".into()));
        }
        *self.published.lock().unwrap() += 1;
        Ok(())
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        self
    }

    fn health(&self) -> Health {
        Health::Up
    }

    async fn close(&self, _: Duration) {}
}

fn store(fates: Vec<Fate>) -> (Arc<Store>, OutboundMessages) {
    let store = Arc::new(Store { fates: Mutex::new(fates.into()), ..Store::default() });
    let intake = Arc::new(Intake::new(store.clone(), store.clone()));
    (store.clone(), OutboundMessages::new(store, intake))
}

async fn send(messages: &OutboundMessages, text: &str) -> (Result<Accepted, Refusal>, Duration) {
    let started = Instant::now();
    let outbound = Outbound { replies: plan(&[text]).steps, business_id: None };
    let message = OutboundMessage { user: OpenId::new("oUSER"), outbound, fingerprint: text.to_owned() };
    let answer = messages.accept("wx1", "key", message, None, started + ANSWER_WITHIN).await;
    (answer, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_is_known_as_queued() {
    let (store, messages) = store(vec![Fate::Refused, Fate::Noted]);
    let accepted = send(&messages, "hi").await.0.unwrap();
    let known = messages.progress(&accepted.id, Instant::now() + ANSWER_WITHIN).await;
    assert!(matches!(known, Ok(Progress::Queued { .. })), "{known:?}");
    assert_eq!(*store.published.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_noted_as_queued_is_not_said_to_be_accepted_and_its_repetition_is() {
    for fate in [vec![Fate::Hangs], (0..100).map(|_| Fate::Refused).collect()] {
        let (store, messages) = store(fate);
        let (answer, took) = send(&messages, "hi").await;
        assert!(matches!(answer, Err(Refusal::Unavailable(_))), "it is accepted, and nothing is known of it");
        assert!(took <= ANSWER_WITHIN, "{took:?}");
        store.fates.lock().unwrap().clear();
        let (repeated, _) = send(&messages, "hi").await;
        let known = messages.progress(&repeated.unwrap().id, Instant::now() + ANSWER_WITHIN).await;
        assert!(matches!(known, Ok(Progress::Queued { .. })), "{known:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_of_a_request_that_the_queue_did_not_take_is_still_that_of_its_message() {
    let (store, messages) = store(Vec::new());
    *store.publisher_is_away.lock().unwrap() = true;
    let (answer, took) = send(&messages, "hi").await;
    assert!(matches!(answer, Err(Refusal::Unavailable(_))));
    assert!(took <= ANSWER_WITHIN, "{took:?}");
    *store.publisher_is_away.lock().unwrap() = false;
    assert!(matches!(send(&messages, "another").await.0, Err(Refusal::KeyReused)));
    assert!(send(&messages, "hi").await.0.is_ok());
    assert!(send(&messages, "hi").await.0.is_ok());
    assert_eq!(*store.published.lock().unwrap(), 1);
}
