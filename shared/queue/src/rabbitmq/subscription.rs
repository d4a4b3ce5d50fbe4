//! One partition of a consumer: a channel that is opened again whenever its unsettled messages must go back.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kefu_messages::envelope::Envelope;
use kefu_messages::partition::Partition;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, message};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::acknowledgements::{Bursts, ChannelAcks};
use super::fault::{Fault, is_missing};
use super::link::{Link, Session};
use super::message::Original;
use super::outlet::Outlet;
use super::settlement::Unsettled;
use super::topology::{Topology, partition_queue};
use crate::{ConsumerOptions, Delivery};

const CLOSE: Duration = Duration::from_secs(5);
/// The pause before a channel is opened again, longer each time: a worker that gives everything back at once must not take
/// all its messages to the delivery limit in a moment.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// After a channel lasted this long, the pauses begin again with the shortest.
const CALM: Duration = Duration::from_secs(2);

/// The task that keeps one partition consumed.
#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) partition: Partition,
    /// How much this process wants the partition.
    pub(super) priority: i32,
    /// Whether the partition is beyond the configured ones: nobody declares its queue, and an operator may delete the queue.
    pub(super) is_leftover: bool,
    pub(super) options: ConsumerOptions,
    pub(super) topology: Arc<Topology>,
    pub(super) link: Arc<Link>,
    pub(super) outlet: Arc<Outlet>,
    pub(super) bursts: Bursts,
    pub(super) deliveries: mpsc::Sender<Delivery>,
    pub(super) closing: CancellationToken,
}

impl Subscription {
    /// Ends when the consumer is closed, or when the queue of a leftover partition is deleted.
    pub(super) async fn run(self) {
        let mut pause = SHORTEST_PAUSE;
        while !self.closing.is_cancelled() {
            let session = tokio::select! {
                session = self.link.session() => session,
                () = self.closing.cancelled() => return,
            };
            let Some(session) = session else { return };
            let begun = Instant::now();
            match self.consume(&session).await {
                Err(error) if self.is_leftover && is_missing(&error) => return,
                Err(error) => session.end(Fault::of(&error)),
                Ok(()) => {}
            }
            pause = if begun.elapsed() > CALM { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.closing.cancelled() => return,
            }
        }
    }

    /// Hands deliveries over until a message of the channel must go back to the queue. An error says that the channel could
    /// not be opened, not that it was lost later.
    ///
    /// The broker puts a message that goes back behind the messages that went back before and were not delivered again
    /// since. As long as every consumer has the same prefetch, there are no such messages, and a message that goes back
    /// keeps its place.
    async fn consume(&self, session: &Session) -> lapin::Result<()> {
        let unsettled = CancellationToken::new();
        let (channel, mut deliveries) = tokio::select! {
            biased;
            () = self.over(session, &unsettled) => return Ok(()),
            subscribed = self.subscribe(session) => subscribed?,
        };
        let acknowledgements = ChannelAcks::new(channel.clone(), self.bursts.clone(), unsettled.clone());
        let mut over = pin!(self.over(session, &unsettled));
        loop {
            let delivery = tokio::select! {
                biased;
                () = &mut over => break,
                delivery = deliveries.next() => delivery,
            };
            let Some(Ok(delivery)) = delivery else { break };
            let place = match self.deliveries.try_reserve() {
                Ok(place) => Ok(place),
                Err(_) => tokio::select! {
                    biased;
                    () = &mut over => break,
                    place = self.deliveries.reserve() => place,
                },
            };
            let Ok(place) = place else { break };
            place.send(self.delivery(delivery, &acknowledgements));
        }
        unsettled.cancel();
        // The channel first, and everything else after it: the library cancels the consumption when the stream is dropped,
        // and a partition that is handed over with unsettled deliveries loses its order.
        if channel.status().connected() {
            let _closed = timeout(CLOSE, async {
                acknowledgements.finish().await;
                channel.close(200, "OK".into()).await
            })
            .await;
        }
        drop(deliveries);
        Ok(())
    }

    async fn over(&self, session: &Session, unsettled: &CancellationToken) {
        tokio::select! {
            () = self.closing.cancelled() => {}
            () = session.ended() => {}
            () = unsettled.cancelled() => {}
        }
    }

    async fn subscribe(&self, session: &Session) -> lapin::Result<(Channel, lapin::Consumer)> {
        let channel = session.connection.create_channel().await?;
        channel.basic_qos(self.options.prefetch, BasicQosOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), self.priority.into());
        let (queue, options) = (partition_queue(self.partition), BasicConsumeOptions::default());
        // The tag is the worker's id, so that the broker's own tools show which worker has which partition.
        let deliveries =
            channel.basic_consume(queue.into(), self.options.id.as_str().into(), options, arguments).await?;
        Ok((channel, deliveries))
    }

    fn delivery(&self, mut delivery: message::Delivery, channel: &Arc<ChannelAcks>) -> Delivery {
        let envelope = Envelope::from_json(&delivery.data);
        let (redelivered, tag) = (delivery.redelivered, delivery.delivery_tag);
        let mut original = Original::of(&mut delivery);
        if self.is_leftover
            && let Ok(envelope) = &envelope
        {
            // What comes back must not come to a queue that may be deleted by then.
            original.routing_key = self.topology.partition_of(envelope).to_string().into();
        }
        let (attempt, replays) = (original.attempt(), original.replays());
        let settle = Unsettled {
            original,
            tag,
            channel: channel.clone(),
            topology: self.topology.clone(),
            outlet: self.outlet.clone(),
            settled: false,
        };
        let session = channel.session().clone();
        Delivery::new(envelope, self.partition, attempt, replays, redelivered, session, Box::new(settle))
    }
}
