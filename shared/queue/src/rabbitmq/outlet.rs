//! The callers' side of a connection that publishes.

use std::sync::Arc;
use std::time::Duration;

use kefu_runtime::health::Health;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::link::Link;
use super::message::Message;
use super::pipeline::{Entry, Pipeline, Ticket};
use crate::{QueueError, Turn};

/// How many messages the broker may have to confirm at a time. The others wait in their callers.
const MOST_UNDER_WAY: u32 = 1_024;

/// One connection on which messages are published and confirmed.
pub(super) struct Outlet {
    link: Arc<Link>,
    pipeline: mpsc::UnboundedSender<Entry>,
    room: Arc<Semaphore>,
}

impl Outlet {
    /// Publishes on `link`, in the background of the current runtime.
    pub(super) fn new(link: Link) -> Self {
        let link = Arc::new(link);
        let (pipeline, entries) = mpsc::unbounded_channel();
        tokio::spawn(Pipeline::new(link.clone(), entries).run());
        Self { link, pipeline, room: Arc::new(Semaphore::new(MOST_UNDER_WAY as usize)) }
    }

    /// Publishes the result of `message` once there is room for it, and holds `turn` until its fate is known. Until there
    /// is room, only the caller's future is held.
    pub(super) async fn publish(&self, turn: Turn, message: impl FnOnce() -> Message) -> Result<(), QueueError> {
        let closed = || QueueError::Unavailable("the publisher is closed".into());
        let room = self.room.clone().acquire_owned().await.map_err(|_| closed())?;
        let (outcome, answer) = oneshot::channel();
        let ticket = Ticket { outcome, _turn: turn, _room: room };
        self.pipeline.send(Entry { message: message(), ticket }).map_err(|_| closed())?;
        // The pipeline drops the messages that were under way on a connection that is lost.
        answer.await.unwrap_or_else(|_| Err(QueueError::Unavailable("the connection was lost".into())))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    pub(super) fn health(&self) -> Health {
        self.link.health()
    }

    /// Waits for the messages under way, for `within` at most, then closes. From the beginning on, the outlet takes no
    /// other message.
    pub(super) async fn close(&self, within: Duration) {
        let all_settled = async {
            let all = self.room.acquire_many(MOST_UNDER_WAY).await;
            self.room.close();
            drop(all);
        };
        if timeout(within, all_settled).await.is_err() {
            tracing::warn!("closing the publisher with messages under way: they may or may not be stored");
        }
        self.room.close();
        self.link.close().await;
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.link.stop();
    }
}
