//! The contract on the embedded queue.

use std::sync::Arc;

use kefu_embedded::Database;
use kefu_embedded::queue::EmbeddedQueue;
use kefu_queue::dead_letters::DeadLetters;
use kefu_queue::{Consumer, ConsumerOptions};
use tempfile::TempDir;

use super::dead_letters::all;
use super::{DeadLetter, InTurn, PARTITIONS, Queue, contract};

contract!(crate::queue::embedded::in_a_folder, crate::queue::embedded::in_a_folder);

/// A queue in a folder of its own.
struct InAFolder {
    /// `None` only while it is closed for a moment.
    opened: Option<(Database, EmbeddedQueue)>,
    folder: TempDir,
}

async fn in_a_folder() -> InAFolder {
    let folder = tempfile::tempdir().unwrap();
    InAFolder { opened: Some(open(&folder).await), folder }
}

async fn open(folder: &TempDir) -> (Database, EmbeddedQueue) {
    let database = Database::open(folder.path()).unwrap();
    let queue = EmbeddedQueue::open(&database).await.unwrap();
    (database, queue)
}

impl InAFolder {
    fn queue(&self) -> &EmbeddedQueue {
        &self.opened.as_ref().unwrap().1
    }
}

impl Queue for InAFolder {
    async fn publisher(&self) -> Arc<InTurn> {
        InTurn::new(self.queue().publisher(PARTITIONS))
    }

    async fn consumer(&self, id: &str, prefetch: u16) -> Box<dyn Consumer> {
        self.queue().consumer(PARTITIONS, ConsumerOptions { id: id.into(), prefetch, seat: None })
    }

    async fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let letters = all(self, count).await.into_iter().map(|letter| DeadLetter {
            body: letter.body,
            reason: letter.history.reason,
            error: letter.history.last_error,
            attempts: letter.history.attempts.into(),
        });
        letters.collect()
    }

    fn letters(&self) -> Arc<dyn DeadLetters> {
        self.queue().dead_letters()
    }

    /// Closed and opened again; what a kill does is tried by a process that is killed.
    async fn crash(&mut self) {
        let (database, queue) = self.opened.take().unwrap();
        drop(queue);
        database.close().await;
        self.opened = Some(open(&self.folder).await);
    }
}
