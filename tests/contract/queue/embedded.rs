//! The contract on the embedded queue.

use std::sync::Arc;

use kefu_harness::eventually;
use kefu_shared::embedded::Database;
use kefu_shared::queue::embedded::{consumer, dead_letters, publisher};
use kefu_shared::queue::{Consumer, ConsumerOptions, Publisher};
use tempfile::TempDir;

use super::{DeadLetter, PARTITIONS, PATIENCE, Queue, contract};

contract!(crate::queue::embedded::in_a_folder, crate::queue::embedded::in_a_folder);

/// A queue in a folder of its own.
struct InAFolder {
    /// `None` only while it is closed for a moment.
    database: Option<Database>,
    folder: TempDir,
}

async fn in_a_folder() -> InAFolder {
    let folder = tempfile::tempdir().unwrap();
    InAFolder { database: Some(Database::open(folder.path()).unwrap()), folder }
}

impl InAFolder {
    fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }
}

impl Queue for InAFolder {
    async fn publisher(&self) -> Arc<dyn Publisher> {
        publisher(self.database(), PARTITIONS)
    }

    async fn consumer(&self, id: &str, prefetch: u16) -> Box<dyn Consumer> {
        consumer(self.database(), PARTITIONS, ConsumerOptions { id: id.into(), prefetch })
    }

    async fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let letters = eventually(PATIENCE, "the dead letters are there", async || {
            let letters = dead_letters(self.database()).await.unwrap();
            if letters.len() == count { Ok(letters) } else { Err(format!("{} are there", letters.len())) }
        });
        let letters = letters.await.into_iter().map(|letter| DeadLetter {
            body: letter.body,
            reason: letter.reason,
            error: letter.error,
            attempts: letter.attempts.into(),
        });
        letters.collect()
    }

    /// Closed and opened again; what a kill does is tried by a process that is killed.
    async fn crash(&mut self) {
        self.database.take().unwrap().close().await;
        self.database = Some(Database::open(self.folder.path()).unwrap());
    }
}
