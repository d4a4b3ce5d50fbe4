use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::testing::Disk;

/// A key of [`Table::READY`].
fn ready(number: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[2..].copy_from_slice(&number.to_be_bytes());
    key
}

/// A row of [`Table::JOBS`], which never expires.
fn job(content: &str) -> Vec<u8> {
    [&*expiring_row(u64::MAX), content.as_bytes()].concat()
}

fn put(table: Table, key: impl AsRef<[u8]>, row: Vec<u8>) -> impl FnOnce(&Transaction) -> Result<(), redb::Error> {
    move |transaction| {
        transaction.put(table, key.as_ref(), row);
        Ok(())
    }
}

fn remove(table: Table, key: impl AsRef<[u8]>) -> impl FnOnce(&Transaction) -> Result<(), redb::Error> {
    move |transaction| {
        transaction.remove(table, key.as_ref());
        Ok(())
    }
}

/// All rows of [`Table::READY`], and the rows of [`Table::JOBS`] with these keys.
fn rows(database: &Database, jobs: u64) -> (BTreeMap<u64, Vec<u8>>, BTreeMap<u64, Vec<u8>>) {
    let rows = database.change_soon(|transaction| {
        let (mut found, mut found_jobs) = (BTreeMap::new(), BTreeMap::new());
        transaction.visit(Table::READY, (&ready(0), &ready(u64::MAX)), |key, row| {
            let number = u64::from_be_bytes(*key.last_chunk().unwrap());
            assert!(found.insert(number, row.to_vec()).is_none() && found.keys().max() == Some(&number));
            std::ops::ControlFlow::Continue(())
        })?;
        for number in 0..jobs {
            let row = transaction.get(Table::JOBS, number.to_string().as_bytes())?;
            found_jobs.extend(row.map(|row| (number, row.to_vec())));
        }
        Ok((found, found_jobs))
    });
    rows.unwrap()
}

/// The file as a crash at this moment would leave it, opened. The writer's thread must be busy, so that the file is whole.
fn copy_of(folder: &TempDir) -> (TempDir, Database) {
    let copy = self::folder();
    std::fs::copy(folder.path().join(FILE_NAME), copy.path().join(FILE_NAME)).unwrap();
    let database = database(&copy);
    (copy, database)
}

async fn after_a_crash(folder: &TempDir, database: &Database) -> (TempDir, Database) {
    let go_on = occupy(database).await;
    let crashed = copy_of(folder);
    go_on.send(()).unwrap();
    crashed
}

/// Lets the writer's thread do one commit, and keeps it busy in the next.
async fn commit(database: &Database, go_on: mpsc::Sender<()>) -> mpsc::Sender<()> {
    let waiting = database.tasks.capacity();
    let owner = database.clone();
    let occupied = tokio::spawn(async move { occupy(&owner).await });
    while database.tasks.capacity() == waiting {
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    occupied.await.unwrap()
}

#[tokio::test]
async fn a_change_counts_at_once_and_is_on_the_disk_before_a_later_one() {
    let (folder, database) = opened();
    let go_on = occupy(&database).await;
    database.change_soon(put(Table::READY, ready(1), vec![1])).unwrap();
    assert_eq!(rows(&database, 0).0, BTreeMap::from([(1, vec![1])]));
    go_on.send(()).unwrap();
    database.change(put(Table::READY, ready(2), vec![2])).await.unwrap();
    let (_copy, crashed) = after_a_crash(&folder, &database).await;
    assert_eq!(rows(&crashed, 0).0, BTreeMap::from([(1, vec![1]), (2, vec![2])]));
}

#[tokio::test]
async fn rows_are_as_the_last_commit_left_them_wherever_they_are_on_their_way_to_the_tables() {
    const JOBS: u64 = 400;
    let (folder, database) = opened();
    let (mut messages, mut jobs) = (BTreeMap::new(), BTreeMap::new());
    let mut random = 1_u64;
    for round in 0..300_u64 {
        for number in round * 20..round * 20 + 19 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (kind, pick) = ((random >> 33) % 4, random >> 35);
            let picked = messages.keys().nth(pick as usize % messages.len().max(1)).copied();
            let job_key = (pick % JOBS).to_string();
            let changed = match (kind, picked) {
                (0, _) => {
                    messages.insert(number, vec![kind as u8; 40]);
                    database.change_soon(put(Table::READY, ready(number), vec![kind as u8; 40]))
                }
                (1, Some(number)) => {
                    messages.remove(&number);
                    database.change_soon(remove(Table::READY, ready(number)))
                }
                (2, _) => {
                    let row = job(&format!("{number} {}", "x".repeat(60)));
                    jobs.insert(pick % JOBS, row.clone());
                    database.change_soon(put(Table::JOBS, job_key, row))
                }
                _ => {
                    jobs.remove(&(pick % JOBS));
                    database.change_soon(remove(Table::JOBS, job_key))
                }
            };
            changed.unwrap();
        }
        let last = round * 20 + 19;
        messages.insert(last, vec![7]);
        database.change(put(Table::READY, ready(last), vec![7])).await.unwrap();
        assert_eq!(rows(&database, JOBS), (messages.clone(), jobs.clone()), "round {round}");
        if round % 30 == 29 {
            let (_copy, crashed) = after_a_crash(&folder, &database).await;
            assert_eq!(rows(&crashed, JOBS), (messages.clone(), jobs.clone()), "round {round}");
        }
    }
    database.close().await;
    assert_eq!(rows(&self::database(&folder), JOBS), (messages, jobs));
}

#[tokio::test]
async fn a_row_that_was_removed_after_its_move_to_the_table_does_not_come_back_after_a_crash() {
    let (folder, database) = opened();
    let go_on = occupy(&database).await;
    for number in 0..1_000 {
        database.change_soon(put(Table::READY, ready(number), vec![1; 200])).unwrap();
    }
    // The entry with all rows, and the move of the first.
    let go_on = commit(&database, go_on).await;
    let go_on = commit(&database, go_on).await;
    let go_on = commit(&database, go_on).await;
    database.change_soon(remove(Table::READY, ready(0))).unwrap();
    let go_on = commit(&database, go_on).await;
    let go_on = commit(&database, go_on).await;
    assert!(!database.journal.is_empty(), "the test needs rows that have not moved");
    let (_copy, crashed) = copy_of(&folder);
    assert_eq!(rows(&crashed, 0).0.into_keys().next(), Some(1));
    go_on.send(()).unwrap();
}

#[tokio::test]
async fn a_failed_commit_takes_its_changes_and_all_later_ones_back() {
    let (folder, disk) = (folder(), Disk::default());
    let database = disk.open(folder.path());
    database.change(put(Table::READY, ready(1), vec![1])).await.unwrap();
    let go_on = occupy(&database).await;
    disk.set_full(true);
    database.change_soon(put(Table::READY, ready(2), vec![2])).unwrap();
    let removal = database.change_then(remove(Table::READY, ready(1)), |_| ());
    let told = Arc::new(AtomicBool::new(false));
    let tell = told.clone();
    let put_later = put(Table::READY, ready(3), vec![3]);
    let later = database.change_then(put_later, move |outcome| tell.store(outcome.is_err(), Ordering::SeqCst));
    go_on.send(()).unwrap();
    assert!(matches!(removal.durable().await, Err(DatabaseError::Full(_))));
    assert!(later.durable().await.is_err() && told.load(Ordering::SeqCst));
    disk.set_full(false);
    while database.change(put(Table::READY, ready(4), vec![4])).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rows(&database, 0).0, BTreeMap::from([(1, vec![1]), (4, vec![4])]));
}

#[tokio::test]
async fn the_file_does_not_grow_with_changes_of_the_same_rows() {
    let (folder, database) = opened();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        for _ in 0..500 {
            database.change(put(Table::JOBS, b"1", job(&"x".repeat(4_000)))).await.unwrap();
        }
        sizes.push(std::fs::metadata(folder.path().join(FILE_NAME)).unwrap().len());
    }
    assert!(sizes[2] <= sizes[0], "{sizes:?}");
}

#[tokio::test]
async fn a_work_that_panics_changes_nothing() {
    let (_folder, database) = opened();
    let work = |transaction: &Transaction| -> Result<(), redb::Error> {
        transaction.put(Table::READY, &ready(1), vec![1]);
        panic!("on purpose")
    };
    let caller = database.clone();
    tokio::spawn(async move { caller.change(work).await }).await.unwrap_err();
    database.change(put(Table::READY, ready(2), vec![2])).await.unwrap();
    assert_eq!(rows(&database, 0).0, BTreeMap::from([(2, vec![2])]));
}

#[tokio::test]
async fn what_follows_a_change_happens_even_when_its_caller_does_not_wait() {
    let (_folder, database) = opened();
    let (told, is_told) = oneshot::channel();
    drop(database.change_then(put(Table::READY, ready(1), vec![1]), |_| told.send(()).unwrap()));
    is_told.await.unwrap();
}

#[tokio::test]
async fn an_entry_of_the_journal_that_cannot_be_read_is_reported_at_the_opening() {
    let (folder, database) = opened();
    let entry = |transaction: &WriteTransaction| {
        let mut journal = transaction.open_table(TableDefinition::<u64, &[u8]>::new("journal"))?;
        journal.insert(7, &[8, 0, 0, 0, 99][..])?;
        Ok(())
    };
    database.write(entry).await.unwrap();
    let copy = self::folder();
    std::fs::copy(folder.path().join(FILE_NAME), copy.path().join(FILE_NAME)).unwrap();
    let refusal = Database::open(copy.path()).err().unwrap();
    assert!(matches!(refusal, DatabaseError::Unreadable { .. }), "{refusal}");
}
