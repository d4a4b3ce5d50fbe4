//! From the spool to the broker.

use std::sync::Arc;
use std::time::Duration;

use kefu_embedded::DatabaseError;
use kefu_messages::envelope::Envelope;
use kefu_messages::partition::Partition;
use kefu_queue::{Publisher, Turns};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::file::Row;
use super::metric;
use super::publisher::Spool;
use super::state::{SpoolError, State, Work};

/// How much of a partition is in memory at a time: this many messages, and no more once they have this many bytes.
const ROWS: usize = 64;
const BYTES: usize = 256 * 1024;

/// The wait after a failed removal.
const REMOVE_AGAIN: Duration = Duration::from_secs(1);

/// Starts to relay a partition, in order, until the spool is closed.
pub(super) fn start(spool: &Spool, partition: Partition, filled: Arc<Notify>) {
    let (broker, turns, state) = (spool.broker.clone(), spool.broker_turns.clone(), spool.state.clone());
    let relay = Relay { broker, turns, state, partition, longest_pause: spool.patience };
    let (closing, finish_within) = (spool.closing.clone(), spool.patience / 2);
    spool.tasks.spawn(async move {
        // Waits for a publish that is under way, but not for long.
        let finished = async {
            closing.cancelled().await;
            sleep(finish_within).await;
        };
        tokio::select! {
            () = finished => {}
            () = async {
                while !closing.is_cancelled() {
                    let Some(work) = relay.state.work(partition) else {
                        tokio::select! {
                            () = filled.notified() => continue,
                            () = closing.cancelled() => return,
                        }
                    };
                    relay.run(&work, || closing.is_cancelled()).await;
                }
            } => {}
        }
    });
}

struct Relay {
    broker: Arc<dyn Publisher>,
    turns: Arc<Turns>,
    state: Arc<State>,
    partition: Partition,
    /// The pauses grow up to this.
    longest_pause: Duration,
}

impl Relay {
    /// Relays the messages of one read.
    async fn run(&self, work: &Work, stop: impl Fn() -> bool) {
        let rows = match work.file.read(self.partition, work.after, ROWS, BYTES).await {
            Ok(rows) => rows,
            Err(error) => {
                self.state.read(Err(SpoolError::Unreadable { folder: work.file.folder.clone(), error }));
                return sleep(self.longest_pause).await;
            }
        };
        self.state.read(Ok(()));
        if rows.is_empty() {
            self.state.relayed(work, work.upto, None);
        }
        let times: Vec<u64> = rows.iter().skip(1).map(|row| row.spooled_at_ms).collect();
        for (row, next_ms) in rows.iter().zip(times.into_iter().map(Some).chain([None])) {
            if stop() {
                return;
            }
            self.relay(work, row).await;
            self.state.relayed(work, row.number, next_ms);
        }
    }

    async fn relay(&self, work: &Work, row: &Row) {
        match Envelope::from_json(&row.body) {
            Ok(envelope) => {
                self.publish(&envelope).await;
                metric::relayed();
                self.state.set_away(false);
            }
            Err(error) => {
                let (file, partition) = (work.file.folder.display(), self.partition);
                tracing::error!(
                    %file, %partition, number = row.number, %error,
                    "a message in the spool is no envelope of this version: it is set aside in the file"
                );
                metric::unreadable();
                let mut pause = self.longest_pause / 20;
                while let Err(error) = work.file.set_aside(partition, row.number).await {
                    self.state.failed(error.into());
                    sleep(pause).await;
                    pause = (pause * 2).min(self.longest_pause);
                }
            }
        }
    }

    /// Returns when the broker has confirmed the message.
    async fn publish(&self, envelope: &Envelope) {
        let turn = self.turns.take(envelope).await;
        let mut pause = self.longest_pause / 20;
        while let Err(error) = self.broker.publish(envelope, turn.clone()).await {
            tracing::debug!(key = %envelope.key, %error, "not relayed");
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(self.longest_pause);
        }
    }
}

/// Starts to remove the relayed messages, many in one transaction.
pub(super) fn start_removing(spool: &Spool) {
    let (state, closing, finish_within) = (spool.state.clone(), spool.closing.clone(), spool.patience / 2);
    spool.tasks.spawn(async move {
        let mut ending = false;
        while !ending {
            ending = tokio::select! {
                () = state.confirmed.notified() => false,
                () = async {
                    closing.cancelled().await;
                    sleep(finish_within).await;
                } => true,
            };
            while let Err(error) = remove(&state).await {
                state.failed(error.into());
                if closing.is_cancelled() {
                    return;
                }
                sleep(REMOVE_AGAIN).await;
            }
        }
    });
}

/// Removes all relayed messages.
async fn remove(state: &State) -> Result<(), DatabaseError> {
    loop {
        let removals = state.removals();
        if removals.is_empty() {
            return Ok(());
        }
        for removal in removals {
            let removed = removal.file.remove(removal.upto.clone()).await?;
            state.removed(&removal, removed);
        }
    }
}
