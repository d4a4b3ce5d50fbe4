//! The seam's publisher: one connection for all callers, and one more for each thread that asks for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::envelope::Envelope;
use kefu_runtime::health::Health;
use parking_lot::Mutex;

use super::link::Link;
use super::message::Message;
use super::outlet::Outlet;
use super::settings::{Address, Settings};
use super::topology::Topology;
use crate::{Publisher, QueueError, Turn};

pub(super) struct EnvelopePublisher {
    address: Address,
    topology: Arc<Topology>,
    partitions: u16,
    outlet: Outlet,
    /// The outlets of threads.
    locals: Mutex<Vec<Weak<LocalPublisher>>>,
}

impl EnvelopePublisher {
    pub(super) fn start(settings: &Settings, address: Address) -> Self {
        let topology = Arc::new(Topology::new(settings));
        let outlet = Outlet::new(Link::start(address.clone(), topology.clone(), "publisher".into()));
        Self { address, topology, partitions: settings.partitions, outlet, locals: Mutex::default() }
    }

    async fn publish_on(&self, outlet: &Outlet, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        outlet.publish(turn, || Message::of(envelope, envelope.partition(self.partitions))).await
    }
}

#[async_trait]
impl Publisher for EnvelopePublisher {
    async fn publish(&self, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        self.publish_on(&self.outlet, envelope, turn).await
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        let mut locals = self.locals.lock();
        let role = format!("publisher {}", locals.len() + 1);
        let outlet = Outlet::new(Link::start(self.address.clone(), self.topology.clone(), role));
        let local = Arc::new(LocalPublisher { all: self.clone(), outlet });
        locals.push(Arc::downgrade(&local));
        local
    }

    /// The worst state of all connections.
    fn health(&self) -> Health {
        let locals: Vec<_> = self.locals.lock().iter().filter_map(Weak::upgrade).collect();
        let open = locals.iter().map(|local| &local.outlet).filter(|outlet| !outlet.is_closed());
        let states = open.map(Outlet::health).chain([self.outlet.health()]);
        states.reduce(|one, other| if one == Health::Up { other } else { one }).unwrap_or(Health::Up)
    }

    async fn close(&self, within: Duration) {
        self.outlet.close(within).await;
    }
}

/// The publisher of one thread.
struct LocalPublisher {
    all: Arc<EnvelopePublisher>,
    outlet: Outlet,
}

#[async_trait]
impl Publisher for LocalPublisher {
    async fn publish(&self, envelope: &Envelope, turn: Turn) -> Result<(), QueueError> {
        let outlet = if self.outlet.is_closed() { &self.all.outlet } else { &self.outlet };
        self.all.publish_on(outlet, envelope, turn).await
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        self.all.clone().local()
    }

    fn health(&self) -> Health {
        self.outlet.health()
    }

    async fn close(&self, within: Duration) {
        self.outlet.close(within).await;
    }
}
