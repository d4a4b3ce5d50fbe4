use std::sync::mpsc;
use std::time::Duration;

use kefu_messages::message_key::MessageKey;
use redb::{ReadableTableMetadata, TableDefinition};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use kefu_store::{Claim, LedgerClaim, StoredToken, Written};

const MINUTE: Duration = Duration::from_secs(60);

fn key(id: u32) -> MessageKey {
    MessageKey::from_text(format!("wx1|gh_1|oUser|{id}"))
}

fn opened() -> (TempDir, Database, Stores) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap();
    let stores = open(&database);
    (folder, database, stores)
}

/// How many claims and expiries the file has, once all changes are in the tables.
async fn sizes(database: &Database) -> (u64, u64) {
    database.move_all().await;
    let sizes = database.write(|transaction| {
        let entries = transaction.open_table(TableDefinition::<&str, &[u8]>::new("claims"))?;
        let ends = transaction.open_table(TableDefinition::<(u64, u8, &str), ()>::new("ends"))?;
        Ok((entries.len()?, ends.len()?))
    });
    sizes.await.unwrap()
}

#[tokio::test]
async fn ended_entries_leave_the_file_with_later_writes() {
    let (_folder, database, stores) = opened();
    for id in 0..10 {
        stores.claims.complete(&key(id), "", MINUTE).await.unwrap();
    }
    assert_eq!(sizes(&database).await, (10, 10));
    database.clock().advance(MINUTE);
    stores.claims.complete(&key(100), "", MINUTE).await.unwrap();
    assert_eq!(sizes(&database).await, (9, 9), "one came, and no more than two went");
    for id in 101..110 {
        stores.claims.complete(&key(id), "", MINUTE).await.unwrap();
    }
    assert_eq!(sizes(&database).await, (10, 10));
}

#[tokio::test]
async fn an_entry_that_was_renewed_outlives_its_old_end() {
    let (_folder, database, stores) = opened();
    stores.claims.claim(&key(1), "a", MINUTE).await.unwrap();
    stores.claims.complete(&key(1), "", 10 * MINUTE).await.unwrap();
    assert_eq!(sizes(&database).await, (1, 1));
    database.clock().advance(5 * MINUTE);
    stores.claims.complete(&key(2), "", MINUTE).await.unwrap();
    assert_eq!(stores.claims.claim(&key(1), "b", MINUTE).await.unwrap(), Claim::Done { answer: String::new() });
}

#[tokio::test]
async fn an_entry_that_was_taken_away_leaves_no_end() {
    let (_folder, database, stores) = opened();
    stores.claims.claim(&key(1), "a", MINUTE).await.unwrap();
    stores.claims.release(&key(1), "a").await.unwrap();
    assert_eq!(sizes(&database).await, (0, 0));
}

#[tokio::test]
async fn all_is_there_after_reopening() {
    let (folder, database, stores) = opened();
    stores.claims.complete(&key(1), "", MINUTE).await.unwrap();
    let LedgerClaim::Claimed(job) = stores.ledger.claim(&key(1), "a", MINUTE, MINUTE).await.unwrap() else {
        panic!("not claimed")
    };
    let fence = stores.tokens.lock("wx1", "a", MINUTE).await.unwrap().unwrap();
    let token = StoredToken { value: "token".into(), expires_in: MINUTE };
    assert_eq!(stores.tokens.store("wx1", fence, &token).await.unwrap(), Written::Yes);
    stores.media.put("wx1", "00ff", "media", MINUTE).await.unwrap();
    drop(stores);
    database.close().await;

    let stores = open(&Database::open(folder.path()).unwrap());
    assert_eq!(stores.claims.claim(&key(1), "b", MINUTE).await.unwrap(), Claim::Done { answer: String::new() });
    assert_eq!(stores.ledger.sent(&key(1), job.fence, 0, None).await.unwrap(), Written::Yes);
    assert!(stores.tokens.get("wx1").await.unwrap().is_some());
    assert_eq!(stores.media.get("wx1", "00ff").await.unwrap().as_deref(), Some("media"));
}

#[tokio::test]
async fn a_copy_gets_its_answer_once_the_answer_is_on_the_disk() {
    let (_folder, database, stores) = opened();
    let (go_on, told) = mpsc::channel();
    let (begun, has_begun) = oneshot::channel();
    let busy = database.clone();
    tokio::spawn(async move {
        let work = move |_: &redb::WriteTransaction| {
            begun.send(()).unwrap();
            told.recv().unwrap();
            Ok(())
        };
        busy.write(work).await
    });
    has_begun.await.unwrap();
    let message = key(1);
    stores.claims.complete(&message, "", MINUTE).await.unwrap();
    let mut copy = stores.claims.claim(&message, "b", MINUTE);
    tokio::select! {
        biased;
        claim = &mut copy => panic!("{claim:?} is not on the disk"),
        () = std::future::ready(()) => go_on.send(()).unwrap(),
    }
    assert_eq!(copy.await.unwrap(), Claim::Done { answer: String::new() });
}

#[tokio::test]
async fn what_a_process_that_is_gone_held_is_free_at_once() {
    let (folder, database, stores) = opened();
    assert_eq!(stores.claims.claim(&key(1), "a", MINUTE).await.unwrap(), Claim::Won);
    assert!(matches!(stores.ledger.claim(&key(1), "a", MINUTE, MINUTE).await.unwrap(), LedgerClaim::Claimed(_)));
    let fence = stores.tokens.lock("wx1", "a", MINUTE).await.unwrap().unwrap();
    drop(stores);
    database.close().await;

    let stores = open(&Database::open(folder.path()).unwrap());
    assert_eq!(stores.claims.claim(&key(1), "b", MINUTE).await.unwrap(), Claim::Won);
    let LedgerClaim::Claimed(job) = stores.ledger.claim(&key(1), "b", MINUTE, MINUTE).await.unwrap() else {
        panic!("the dead process's lease holds")
    };
    assert_eq!(job.fence, 2, "what is still on its way from before is fenced");
    assert_eq!(stores.tokens.lock("wx1", "b", MINUTE).await.unwrap(), Some(fence + 1));
    // Claims that are taken now count, even against the owner's own former name.
    assert_eq!(stores.claims.claim(&key(1), "a", MINUTE).await.unwrap(), Claim::Pending);
    assert!(matches!(stores.ledger.claim(&key(1), "a", MINUTE, MINUTE).await.unwrap(), LedgerClaim::Leased { .. }));
    assert_eq!(stores.tokens.lock("wx1", "a", MINUTE).await.unwrap(), None);
}

#[tokio::test]
async fn an_entry_of_another_version_is_reported_without_its_content() {
    let (_folder, database, stores) = opened();
    for (id, bytes) in [(1, &b"\x02secret"[..]), (2, &b"\x01\x7f\xff\xff\xff\xff\xff\xff\xff{\"secret\":1}"[..])] {
        let write = database.write(move |transaction| {
            let mut table = transaction.open_table(TableDefinition::<&str, &[u8]>::new("claims"))?;
            table.insert(key(id).as_str(), bytes)?;
            Ok(())
        });
        write.await.unwrap();
        let error = stores.claims.claim(&key(id), "a", MINUTE).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(_)), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
