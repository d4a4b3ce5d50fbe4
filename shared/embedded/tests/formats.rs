//! The files of earlier versions can be read and used.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use kefu_embedded::queue::EmbeddedQueue;
use kefu_embedded::{Database, FILE_NAME};
use kefu_messages::message_key::MessageKey;
use kefu_messages::testing::text;
use kefu_queue::{ConsumerOptions, Settlement, Turn};
use kefu_store::{Claim, LedgerClaim};
use redb::TableDefinition;

const LONG: Duration = Duration::from_secs(60);
/// In the year 2096.
const FAR_MS: u64 = 4_000_000_000_000;

/// The file of kefu 0.1: format 1, without a journal.
fn write_format_1(folder: &Path) {
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("queue_counters");
    const READY: TableDefinition<'_, (u16, u64), &[u8]> = TableDefinition::new("queue_ready");
    const DUE: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("queue_due");
    const DEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("queue_dead");
    const CLAIMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("claims");
    const JOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("jobs");
    const ENDS: TableDefinition<'_, (u64, u8, &str), ()> = TableDefinition::new("ends");

    let file = redb::Database::create(folder.join(FILE_NAME)).unwrap();
    let transaction = file.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("format", 1).unwrap();
        meta.insert("openings", 1).unwrap();
        transaction.open_table(COUNTERS).unwrap().insert("opened", 1).unwrap();

        let first = 1_u64 << 40;
        let message =
            |header: &str, id| [b"\x01", header.as_bytes(), b"\n", &*text("oUser", id, "hello").to_json()].concat();
        let mut ready = transaction.open_table(READY).unwrap();
        let header = r#"{"partition":0,"attempt":0,"first_seen_ms":1700000000000}"#;
        ready.insert((0, first), &*message(header, 1)).unwrap();
        ready.insert((0, first + 2), &*message(header, 3)).unwrap();
        let header = r#"{"partition":0,"attempt":1,"first_seen_ms":1700000000000,"error":"busy","first_error":"busy"}"#;
        transaction.open_table(DUE).unwrap().insert((1_700_000_000_000, first + 1), &*message(header, 2)).unwrap();
        let header = r#"{"partition":0,"attempt":0,"first_seen_ms":1700000000000,"error":"no","first_error":"no","death":{"reason":"refused","at_ms":1700000000001}}"#;
        transaction.open_table(DEAD).unwrap().insert(first + 3, &*message(header, 4)).unwrap();

        let row = |json: &str| [b"\x01", &FAR_MS.to_be_bytes()[..], json.as_bytes()].concat();
        let mut ends = transaction.open_table(ENDS).unwrap();
        transaction.open_table(CLAIMS).unwrap().insert("wx1|gh_1|oUser|1", &*row(r#""done""#)).unwrap();
        ends.insert((FAR_MS, 0, "wx1|gh_1|oUser|1"), ()).unwrap();
        let job = r#"{"fence":3,"owner":"a","leased_until_ms":3900000000000,"opening":1,"next_step":1,"sending":1,"done":false}"#;
        transaction.open_table(JOBS).unwrap().insert("wx1|gh_1|oUser|1", &*row(job)).unwrap();
        ends.insert((FAR_MS, 1, "wx1|gh_1|oUser|1"), ()).unwrap();
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_file_of_0_1_can_be_read_and_used() {
    let folder = tempfile::tempdir().unwrap();
    write_format_1(folder.path());
    // Twice: the second opening reads what this version made of the file.
    for opening in 0..2 {
        let database = Database::open(folder.path()).unwrap();
        let stores = kefu_embedded::store::open(&database);
        let key = MessageKey::from_text("wx1|gh_1|oUser|1");
        assert_eq!(stores.claims.claim(&key, "b", LONG).await.unwrap(), Claim::Done { answer: String::new() });
        let LedgerClaim::Claimed(job) = stores.ledger.claim(&key, "b", LONG, LONG).await.unwrap() else {
            panic!("the lease of a process that is gone holds")
        };
        assert_eq!((job.fence, job.next_step, job.ambiguous), (4 + opening, 1, true));

        let queue = EmbeddedQueue::open(&database).await.unwrap();
        let mut walk = queue.dead_letters().walk().await.unwrap();
        assert_eq!(walk.next().await.unwrap().unwrap().history.reason, "refused");
        assert!(walk.next().await.unwrap().is_none());
        drop(walk);
        let options = ConsumerOptions { id: "test".to_owned(), prefetch: 10, seat: None };
        let mut consumer = queue.consumer(1, options);
        if opening == 0 {
            // The message that was due comes behind the others.
            for id in ["1", "3", "2"] {
                let delivery = consumer.next().await.unwrap();
                assert_eq!(delivery.envelope.as_ref().unwrap().push.msg_id.as_deref(), Some(id));
                delivery.settle(Settlement::Done).await.unwrap();
            }
        }
        queue.publisher(1).publish(&text("oUser", 5 + opening as u32, "hello"), Turn::unordered()).await.unwrap();
        let delivery = consumer.next().await.unwrap();
        assert_eq!(delivery.envelope.as_ref().unwrap().push.msg_id, Some((5 + opening).to_string()));
        delivery.settle(Settlement::Done).await.unwrap();
        drop((consumer, queue, stores));
        database.close().await;
    }
}
