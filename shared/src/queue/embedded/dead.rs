//! Reading the dead letters.

use crate::embedded::{Database, DatabaseError};
use crate::partition::Partition;

use super::tables;

/// A message that will not be tried again by itself.
#[derive(Clone)]
pub struct DeadLetter {
    /// The body as it was published: the JSON of an envelope, unless `reason` is `undecodable`.
    pub body: Vec<u8>,
    /// The partition it was on.
    pub partition: Partition,
    /// The word of the [`DeadReason`](crate::queue::DeadReason) it was settled with.
    pub reason: String,
    /// The error it was settled with.
    pub error: String,
    /// How often it was tried, the last time included.
    pub attempts: u32,
    /// When it was published: milliseconds since the Unix epoch.
    pub first_seen_ms: u64,
    /// When it was settled as dead: milliseconds since the Unix epoch.
    pub died_at_ms: u64,
}

/// All dead letters, in the order in which they died. Reads them all into memory.
pub async fn dead_letters(database: &Database) -> Result<Vec<DeadLetter>, DatabaseError> {
    let letters = database.read(|transaction| {
        let records = tables::dead(transaction)?.into_iter();
        Ok(records
            .map(|record| {
                let (reason, died_at_ms) =
                    record.header.death.map_or_else(Default::default, |death| (death.reason, death.at_ms));
                DeadLetter {
                    body: record.body,
                    partition: record.header.partition,
                    reason,
                    error: record.header.error.unwrap_or_default(),
                    attempts: record.header.attempt.saturating_add(1),
                    first_seen_ms: record.header.first_seen_ms,
                    died_at_ms,
                }
            })
            .collect())
    });
    letters.await
}
