//! Moves deliveries from the consumer into the lanes, until the shutdown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kefu_queue::{Consumer, Delivery};
use kefu_runtime::health::Health;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::handle::Handler;
use crate::lanes::Lanes;
use crate::metric;
use crate::order::{Behind, LaneKey};

/// The interval at which the worker updates the state that `/readyz` and the gauges show.
const STATE_EVERY: Duration = Duration::from_secs(1);

/// Takes deliveries and handles them, each user's in order, until `shutdown` or the end of the consumer. Then the
/// messages in work may end within `grace`, and the worker gives all other deliveries back. The function reports the
/// queue's health through `health`.
pub(crate) async fn dispatch(
    handler: Arc<Handler>,
    mut consumer: Box<dyn Consumer>,
    health: watch::Sender<Health>,
    shutdown: CancellationToken,
    grace: Duration,
) -> Result<(), WorkerError> {
    let mut work = Work { handler, lanes: Lanes::new(), tasks: JoinSet::new(), lane_of: HashMap::new() };
    let lanes = metrics::gauge!(metric::LANES);
    let mut state_poll = tokio::time::interval(STATE_EVERY);
    let end = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = work.tasks.join_next_with_id() => work.ended(ended.map(|(id, _)| id)),
            _ = state_poll.tick() => {
                health.send_replace(consumer.health());
                work.handler.sweep();
            }
            delivery = consumer.next() => match delivery {
                Some(delivery) => work.take(delivery),
                None if shutdown.is_cancelled() => break Ok(()),
                None => break Err(WorkerError::ConsumerEnded),
            },
        }
        lanes.set(work.lanes.len() as f64);
    };
    let given_back = work.drain(grace).await;
    // Each message that ended is settled now. The other deliveries go back only at this point, since an earlier return
    // would take along the messages that were about to end.
    consumer.close().await;
    drop(given_back);
    health.send_replace(Health::Down("closed".to_owned()));
    lanes.set(0);
    end
}

struct Work {
    handler: Arc<Handler>,
    lanes: Lanes<LaneKey, Delivery>,
    tasks: JoinSet<Option<Delivery>>,
    lane_of: HashMap<Id, LaneKey>,
}

impl Work {
    fn take(&mut self, mut delivery: Delivery) {
        if let Ok(envelope) = &mut delivery.envelope {
            // The envelope is read again before the lane is chosen: if this version can parse a push that was
            // unreadable to ingress, the message belongs to its user's lane.
            envelope.read_anew();
        }
        let (lane, opens) = (LaneKey::of(&delivery), Behind::opens(&delivery));
        match self.lanes.push(&lane, delivery) {
            Some(delivery) => self.start(lane, delivery),
            None if opens => self.handler.behind.add(&lane),
            None => {}
        }
    }

    fn ended(&mut self, task: Result<Id, tokio::task::JoinError>) {
        let id = task.unwrap_or_else(|error| {
            // The error itself stays out of the log, since it quotes the panic's text.
            tracing::error!("the handling of a message broke off; the message comes again");
            error.id()
        });
        let Some(lane) = self.lane_of.remove(&id) else { return };
        if let Some(delivery) = self.lanes.finished(&lane) {
            if Behind::opens(&delivery) {
                self.handler.behind.remove(&lane);
            }
            self.start(lane, delivery);
        }
    }

    fn start(&mut self, lane: LaneKey, delivery: Delivery) {
        let handler = Arc::clone(&self.handler);
        let task = self.tasks.spawn(async move { handler.handle(delivery).await });
        self.lane_of.insert(task.id(), lane);
    }

    /// Waits for the messages in work, and starts no other message. Returns all deliveries that are still unsettled.
    async fn drain(mut self, grace: Duration) -> (Vec<Delivery>, Lanes<LaneKey, Delivery>) {
        let mut unfinished = Vec::new();
        let ended = tokio::time::timeout(grace, async {
            while let Some(ended) = self.tasks.join_next().await {
                unfinished.extend(ended.ok().flatten());
            }
        });
        if ended.await.is_err() {
            tracing::warn!(
                messages = self.tasks.len(),
                "[worker] grace_ms is over: the messages that are still in work are cut off"
            );
            self.tasks.shutdown().await;
        }
        (unfinished, self.lanes)
    }
}

#[cfg(test)]
mod tests;
