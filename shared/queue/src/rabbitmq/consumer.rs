//! Consuming: one subscription for each partition on one connection, one stream of deliveries for the worker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kefu_messages::partition::Partition;
use kefu_runtime::health::Health;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acknowledgements::start_bursts;
use super::leftovers;
use super::link::Link;
use super::outlet::Outlet;
use super::settings::{Address, Settings};
use super::shares;
use super::subscription::Subscription;
use super::topology::Topology;
use super::version;
use crate::{Consumer, ConsumerOptions, Delivery};

/// Deliveries on their way to [`Consumer::next`], beyond those that wait inside the subscriptions.
const READY: usize = 16;
/// How long a close waits for retries and dead letters whose publish is under way.
const CLOSE: Duration = Duration::from_secs(2);

/// The seam's consumer.
pub(super) struct EnvelopeConsumer {
    deliveries: mpsc::Receiver<Delivery>,
    link: Arc<Link>,
    outlet: Arc<Outlet>,
    closing: CancellationToken,
    subscriptions: TaskTracker,
}

impl EnvelopeConsumer {
    pub(super) fn start(settings: &Settings, address: &Address, options: &ConsumerOptions) -> Self {
        let topology = Arc::new(Topology::new(settings));
        let start = |role: &str| Link::start(address.clone(), topology.clone(), format!("{role} {}", options.id));
        let link = Arc::new(start("consumer"));
        // A connection of its own: a broker that blocks publishers stops everything on their connections, acknowledgements
        // too.
        let outlet = Arc::new(Outlet::new(start("consumer's publisher")));
        let (sender, deliveries) = mpsc::channel(READY);
        let (closing, subscriptions) = (CancellationToken::new(), TaskTracker::new());
        let bursts = start_bursts();
        let priorities = shares::priorities(options, settings.partitions);
        let of = |(partition, priority)| Subscription {
            partition,
            priority,
            is_leftover: false,
            options: options.clone(),
            topology: topology.clone(),
            link: link.clone(),
            outlet: outlet.clone(),
            bursts: bursts.clone(),
            deliveries: sender.clone(),
            closing: closing.clone(),
        };
        let mut last = None;
        for subscription in Partition::all(settings.partitions).zip(priorities).map(of) {
            subscriptions.spawn(subscription.clone().run());
            last = Some(subscription);
        }
        subscriptions.close();
        if let Some(last) = last {
            tokio::spawn(leftovers::consume(last, subscriptions.clone()));
        }
        tokio::spawn(version::warn_if_old(address.clone(), link.clone(), closing.clone()));
        Self { deliveries, link, outlet, closing, subscriptions }
    }
}

#[async_trait]
impl Consumer for EnvelopeConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.deliveries.recv().await?;
            // A delivery that was given back while it waited here is delivered again: only the new copy counts.
            if !delivery.session.is_cancelled() {
                return Some(delivery);
            }
        }
    }

    fn health(&self) -> Health {
        match (self.link.health(), self.outlet.health()) {
            (Health::Up, Health::Down(reason)) => {
                Health::Down(format!("retries and dead letters cannot be published: {reason}"))
            }
            (health, _) => health,
        }
    }

    async fn close(&mut self) {
        self.deliveries.close();
        self.closing.cancel();
        self.subscriptions.wait().await;
        while self.deliveries.try_recv().is_ok() {}
        self.link.close().await;
        self.outlet.close(CLOSE).await;
    }
}

impl Drop for EnvelopeConsumer {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}
