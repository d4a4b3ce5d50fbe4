//! Acknowledgements, written in bursts: one write for many deliveries costs the broker and this process much less than a
//! write for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::QueueError;

/// The shortest time between two bursts: short beside the time that a message takes.
const BETWEEN_BURSTS: Duration = Duration::from_millis(5);

/// The most channels in one burst; each partition has one.
const MOST_CHANNELS: usize = 1_024;

/// Takes the channels of a consumer that have acknowledgements to write.
pub(super) type Bursts = mpsc::UnboundedSender<Arc<ChannelAcks>>;

/// Starts to write bursts, over all channels of a consumer: the first acknowledgement is written at once, and those that
/// come soon after it together.
pub(super) fn start_bursts() -> Bursts {
    let (bursts, mut due) = mpsc::unbounded_channel::<Arc<ChannelAcks>>();
    tokio::spawn(async move {
        let mut channels = Vec::new();
        while due.recv_many(&mut channels, MOST_CHANNELS).await > 0 {
            join_all(channels.iter().map(|channel| channel.write())).await;
            channels.clear();
            sleep(BETWEEN_BURSTS).await;
        }
    });
    bursts
}

/// The acknowledgements of one channel, on which all deliveries are of one consumer tag.
pub(super) struct ChannelAcks {
    channel: Channel,
    bursts: Bursts,
    /// Cancelled when the channel's deliveries can no longer be settled.
    session: CancellationToken,
    settled: Mutex<Settled>,
    /// Held while acknowledgements are written.
    writing: tokio::sync::Mutex<()>,
}

/// The settled deliveries of a channel. The broker numbers its deliveries from 1 on, without gaps.
#[derive(Debug, Default)]
struct Settled {
    /// The deliveries up to this one are settled, and acknowledged or about to be.
    up_to: u64,
    /// The settled deliveries behind a delivery that is not settled.
    beyond: BTreeSet<u64>,
    /// The settled deliveries that are not acknowledged yet.
    fresh: Vec<u64>,
    /// Whether the channel is being closed: what is settled now would not be acknowledged.
    closed: bool,
}

impl Settled {
    /// The acknowledgements that are due: of all deliveries up to one, and of single deliveries beyond that one. The broker
    /// closes a channel that acknowledges a delivery twice, so each of them names a fresh one.
    fn take_due(&mut self) -> (Option<u64>, Vec<u64>) {
        let fresh = std::mem::take(&mut self.fresh);
        self.beyond.extend(&fresh);
        while self.beyond.first() == Some(&(self.up_to + 1)) {
            self.beyond.pop_first();
            self.up_to += 1;
        }
        let (within, beyond): (Vec<u64>, Vec<u64>) = fresh.into_iter().partition(|tag| *tag <= self.up_to);
        (within.into_iter().max(), beyond)
    }
}

impl ChannelAcks {
    pub(super) fn new(channel: Channel, bursts: Bursts, session: CancellationToken) -> Arc<Self> {
        let (settled, writing) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { channel, bursts, session, settled, writing })
    }

    /// The channel's deliveries can be settled until this is cancelled.
    pub(super) fn session(&self) -> &CancellationToken {
        &self.session
    }

    /// Acknowledges the delivery with this tag in the next burst.
    pub(super) fn acknowledge(self: &Arc<Self>, tag: u64) -> Result<(), QueueError> {
        let mut settled = self.settled.lock();
        if settled.closed || self.session.is_cancelled() {
            return Err(QueueError::Stale);
        }
        settled.fresh.push(tag);
        if settled.fresh.len() == 1 {
            // The task that writes lives as long as this sender, unless the runtime ends.
            let _sent = self.bursts.send(Arc::clone(self));
        }
        Ok(())
    }

    /// Writes the last acknowledgements, before the channel is closed.
    pub(super) async fn finish(&self) {
        self.settled.lock().closed = true;
        self.write().await;
    }

    async fn write(&self) {
        let _writing = self.writing.lock().await;
        let (up_to, single) = self.settled.lock().take_due();
        let all = up_to.map(|tag| (tag, true)).into_iter().chain(single.into_iter().map(|tag| (tag, false)));
        // All at once: the library then writes them together.
        let acknowledged =
            join_all(all.map(|(tag, multiple)| self.channel.basic_ack(tag, BasicAckOptions { multiple })));
        if acknowledged.await.iter().any(Result::is_err) {
            self.session.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_without_a_gap_are_acknowledged_together_and_others_one_by_one() {
        let mut settled = Settled::default();
        let mut due = |tags: &[u64]| {
            settled.fresh.extend(tags);
            settled.take_due()
        };
        assert_eq!(due(&[]), (None, vec![]));
        assert_eq!(due(&[2, 1]), (Some(2), vec![]));
        assert_eq!(due(&[5, 4]), (None, vec![5, 4]));
        assert_eq!(due(&[7, 3]), (Some(3), vec![7]));
        assert_eq!(due(&[6]), (Some(6), vec![]));
        assert_eq!(due(&[8]), (Some(8), vec![]));
    }
}
