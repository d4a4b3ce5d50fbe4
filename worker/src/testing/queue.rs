//! Deliveries that tell how they were settled, and a consumer that the test feeds by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::{Envelope, EnvelopeError};
use kefu_messages::message_key::MessageKey;
use kefu_messages::partition::Partition;
use kefu_messages::testing;
use kefu_queue::{Consumer, DeadReason, Delivery, QueueError, Settle, Settlement};
use kefu_runtime::clock;
use kefu_runtime::health::Health;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The fate of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The delivery is in work, or waits.
    Open,
    As(Settlement),
    /// The delivery was dropped without being settled.
    GivenBack,
}

pub(crate) const DONE: Settled = Settled::As(Settlement::Done);

pub(crate) fn reason(settled: &Settled) -> DeadReason {
    match settled {
        Settled::As(Settlement::Dead { reason, .. }) => *reason,
        other => panic!("not dead: {other:?}"),
    }
}

pub(crate) fn retry_after(settled: &Settled) -> Duration {
    match settled {
        Settled::As(Settlement::Retry { after, .. }) => *after,
        other => panic!("not to be retried: {other:?}"),
    }
}

pub(crate) fn postponed_for(settled: &Settled) -> Duration {
    match settled {
        Settled::As(Settlement::Postpone { after, .. }) => *after,
        other => panic!("not postponed: {other:?}"),
    }
}

/// Watches a delivery.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    settled: Arc<Mutex<Settled>>,
    pub(crate) session: CancellationToken,
}

impl Watch {
    pub(crate) fn get(&self) -> Settled {
        self.settled.lock().unwrap().clone()
    }
}

struct Recorder(Arc<Mutex<Settled>>);

#[async_trait]
impl Settle for Recorder {
    async fn settle(self: Box<Self>, settlement: Settlement) -> Result<(), QueueError> {
        *self.0.lock().unwrap() = Settled::As(settlement);
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut settled = self.0.lock().unwrap();
        if *settled == Settled::Open {
            *settled = Settled::GivenBack;
        }
    }
}

pub(crate) fn delivery(envelope: Result<Envelope, EnvelopeError>, attempt: u32) -> (Delivery, Watch) {
    let watch = Watch { settled: Arc::new(Mutex::new(Settled::Open)), session: CancellationToken::new() };
    let settle = Box::new(Recorder(Arc::clone(&watch.settled)));
    let delivery = Delivery::new(envelope, Partition::from(0), attempt, 0, attempt > 0, watch.session.clone(), settle);
    (delivery, watch)
}

/// The envelope of a push to `account` that comes now.
pub(crate) fn pushed(account: &str, user: &str, fields: Value) -> Envelope {
    Envelope { received_at_ms: clock::now_ms(), ..testing::pushed(account, user, fields) }
}

/// The envelope of a user's text. The user and the text together make the message's identity.
pub(crate) fn envelope(account: &str, user: &str, text: &str) -> Envelope {
    pushed(account, user, json!({ "MsgType": "text", "Content": text, "MsgId": text }))
}

/// The key of a user's text to `wx1`.
pub(crate) fn key(user: &str, text: &str) -> MessageKey {
    envelope("wx1", user, text).key
}

/// The envelope of a user's event, one of several with this name.
pub(crate) fn event(user: &str, name: &str, number: u32) -> Envelope {
    pushed("wx1", user, json!({ "CreateTime": number, "MsgType": "event", "Event": name, "SessionFrom": "" }))
}

/// The same envelope, received earlier by `ago`.
pub(crate) fn received(ago: Duration, envelope: Envelope) -> Envelope {
    Envelope { received_at_ms: envelope.received_at_ms - ago.as_millis() as u64, ..envelope }
}

/// The consumer's end of a queue that the test fills by hand.
pub(crate) struct FakeConsumer {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    /// The deliveries whose [`Watch::get`] the consumer records at its close.
    watched: Arc<Mutex<Vec<Watch>>>,
    at_close: Arc<Mutex<Option<Vec<Settled>>>>,
}

/// The test's end of the queue.
#[derive(Clone)]
pub(crate) struct FakeQueue {
    deliveries: mpsc::UnboundedSender<Delivery>,
    watched: Arc<Mutex<Vec<Watch>>>,
    at_close: Arc<Mutex<Option<Vec<Settled>>>>,
}

pub(crate) fn queue() -> (FakeQueue, Box<FakeConsumer>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (watched, at_close) = (Arc::default(), Arc::default());
    let consumer =
        FakeConsumer { deliveries: receiver, watched: Arc::clone(&watched), at_close: Arc::clone(&at_close) };
    (FakeQueue { deliveries: sender, watched, at_close }, Box::new(consumer))
}

impl FakeQueue {
    pub(crate) fn push(&self, account: &str, user: &str, text: &str) -> Watch {
        self.send(envelope(account, user, text))
    }

    pub(crate) fn send(&self, envelope: Envelope) -> Watch {
        let (delivery, watch) = delivery(Ok(envelope), 0);
        self.watched.lock().unwrap().push(watch.clone());
        self.deliveries.send(delivery).unwrap();
        watch
    }

    /// The state of all deliveries now.
    pub(crate) fn states(&self) -> Vec<Settled> {
        self.watched.lock().unwrap().iter().map(Watch::get).collect()
    }

    /// The state of all deliveries at the moment of the close.
    pub(crate) fn states_at_close(&self) -> Vec<Settled> {
        self.at_close.lock().unwrap().clone().expect("the consumer was not closed")
    }
}

#[async_trait]
impl Consumer for FakeConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        self.deliveries.recv().await
    }

    fn health(&self) -> Health {
        Health::Up
    }

    async fn close(&mut self) {
        let states = self.watched.lock().unwrap().iter().map(Watch::get).collect();
        *self.at_close.lock().unwrap() = Some(states);
    }
}
