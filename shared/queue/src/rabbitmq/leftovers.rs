//! Partitions beyond the configured ones: an earlier configuration had more of them, and messages may be left there.

use kefu_messages::partition::Partition;
use tokio_util::task::TaskTracker;

use super::fault::{Fault, is_missing};
use super::link::Session;
use super::shares;
use super::subscription::Subscription;
use super::topology::{partition_queue, sizes};

/// Lets the consumer of `last`, its last configured partition, consume all later partitions that the broker has, too.
pub(super) async fn consume(last: Subscription, subscriptions: TaskTracker) {
    let configured = last.partition.index().saturating_add(1);
    let Some(count) = counted(&last, configured).await.filter(|count| *count > configured) else { return };
    tracing::warn!(
        partitions = configured,
        found = count,
        "RabbitMQ has more partitions than [queue] partitions says: the worker consumes the others too; once their \
         queues and the retry queues are empty, delete these partitions' queues, the highest number first"
    );
    let priorities = shares::priorities(&last.options, count);
    for (partition, priority) in Partition::all(count).zip(priorities).skip(configured.into()) {
        subscriptions.spawn(Subscription { partition, priority, is_leftover: true, ..last.clone() }.run());
    }
}

/// The number of partitions that the broker has, counted up to the first missing queue; at least `configured`. `None`: the
/// consumer was closed before.
async fn counted(consumer: &Subscription, configured: u16) -> Option<u16> {
    loop {
        let asked = async {
            let session = consumer.link.session().await?;
            let count = count_on(&session, configured).await;
            if let Err(error) = &count {
                let error = Fault::of(error);
                tracing::warn!(
                    error = error.text(),
                    "RabbitMQ does not say whether it has more partitions than configured"
                );
                session.ended().await;
            }
            Some(count.ok())
        };
        let count = tokio::select! {
            count = asked => count?,
            () = consumer.closing.cancelled() => return None,
        };
        if count.is_some() {
            return count;
        }
    }
}

async fn count_on(session: &Session, configured: u16) -> lapin::Result<u16> {
    let channel = session.connection.create_channel().await?;
    let mut count = configured;
    loop {
        match sizes(&channel, &partition_queue(Partition::from(count))).await {
            Ok(_) => count = count.saturating_add(1),
            Err(error) if is_missing(&error) => return Ok(count),
            Err(error) => return Err(error),
        }
        if count == u16::MAX {
            return Ok(count);
        }
    }
}
