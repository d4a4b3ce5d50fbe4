use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::mpsc;

use kefu_store::StoreError;
use redb::{ReadableTable, TableDefinition};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;

mod faults;
mod journal;

/// The table of the tests; it has only keys.
const TEST: TableDefinition<'static, u64, ()> = TableDefinition::new("test");

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A database in a folder of its own.
fn opened() -> (TempDir, Database) {
    let folder = folder();
    let database = database(&folder);
    (folder, database)
}

fn database(folder: &TempDir) -> Database {
    Database::open(folder.path()).unwrap()
}

fn insert(key: u64) -> impl FnOnce(&WriteTransaction) -> Result<(), redb::Error> {
    move |transaction| {
        transaction.open_table(TEST)?.insert(key, ())?;
        Ok(())
    }
}

fn fail(_: &WriteTransaction) -> Result<(), redb::Error> {
    Err(redb::Error::ValueTooLarge(0))
}

async fn keys(database: &Database) -> Vec<u64> {
    let keys = database.read(|transaction| {
        let table = transaction.open_table(TEST)?;
        ReadableTable::iter(&table)?.map(|row| Ok(row?.0.value())).collect()
    });
    keys.await.unwrap()
}

/// Keeps the writer's thread busy with a write until the test lets it go on.
async fn occupy(database: &Database) -> mpsc::Sender<()> {
    let (go_on, told) = mpsc::channel();
    let (begun, has_begun) = oneshot::channel();
    let database = database.clone();
    tokio::spawn(async move {
        let work = move |_: &WriteTransaction| {
            begun.send(()).unwrap();
            told.recv().unwrap();
            Ok(())
        };
        database.write(work).await
    });
    has_begun.await.unwrap();
    go_on
}

/// Submits a write, behind all others.
async fn queued<F>(database: &Database, work: F) -> JoinHandle<Result<(), DatabaseError>>
where
    F: FnOnce(&WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
{
    let waiting = database.tasks.capacity();
    let caller = database.clone();
    let task = tokio::spawn(async move { caller.write(work).await });
    while database.tasks.capacity() == waiting {
        tokio::task::yield_now().await;
    }
    task
}

#[tokio::test]
async fn a_database_that_ends_is_closed_after_its_last_writes_though_clones_are_left() {
    let (folder, database) = opened();
    let go_on = occupy(&database).await;
    let last = queued(&database, insert(1)).await;
    let ending = tokio::spawn(database.clone().end());
    go_on.send(()).unwrap();
    ending.await.unwrap();
    last.await.unwrap().unwrap();
    assert!(matches!(database.write(insert(2)).await, Err(DatabaseError::Closed)));
    let reopened = Database::open(folder.path()).unwrap();
    assert_eq!(keys(&reopened).await, [1]);
}

#[tokio::test]
async fn a_write_that_fails_takes_its_batch_along_and_nothing_else() {
    let (_folder, database) = opened();
    let go_on = occupy(&database).await;
    let mut first = Vec::new();
    for key in 0..MAX_BATCH as u64 {
        first.push(queued(&database, insert(key)).await);
    }
    let second = [queued(&database, insert(1_000)).await, queued(&database, fail).await];
    go_on.send(()).unwrap();
    for write in first {
        write.await.unwrap().unwrap();
    }
    for write in second {
        assert!(matches!(write.await.unwrap(), Err(DatabaseError::Failed(_))));
    }
    assert_eq!(keys(&database).await, Vec::from_iter(0..MAX_BATCH as u64), "nothing of the second batch is kept");
    database.write(insert(1_000)).await.unwrap();
}

#[tokio::test]
async fn a_write_can_refuse_without_harm_to_the_others() {
    let (_folder, database) = opened();
    let go_on = occupy(&database).await;
    let write = queued(&database, insert(1)).await;
    let refusing = database.clone();
    let refusal = tokio::spawn(async move { refusing.write(|_| Ok(Err::<(), _>("no"))).await });
    go_on.send(()).unwrap();
    write.await.unwrap().unwrap();
    assert_eq!(refusal.await.unwrap().unwrap(), Err("no"));
}

#[tokio::test]
async fn a_read_does_not_wait_for_the_writer() {
    let (_folder, database) = opened();
    database.write(insert(1)).await.unwrap();
    let go_on = occupy(&database).await;
    assert_eq!(keys(&database).await, [1]);
    go_on.send(()).unwrap();
}

#[tokio::test]
async fn the_last_clone_lets_what_was_handed_over_be_written() {
    let (folder, database) = opened();
    let go_on = occupy(&database).await;
    let write = queued(&database, insert(1)).await;
    drop(database);
    go_on.send(()).unwrap();
    write.await.unwrap().unwrap();
    assert_eq!(keys(&self::database(&folder)).await, [1], "opening waits for the last one to be closed");
}

#[tokio::test]
async fn a_closed_database_can_be_opened_at_once() {
    let folder = folder();
    for key in 0..3 {
        let database = database(&folder);
        database.write(insert(key)).await.unwrap();
        database.close().await;
    }
    assert_eq!(keys(&database(&folder)).await, [0, 1, 2]);
}

#[test]
fn a_second_opening_is_refused_in_words() {
    let folder = folder();
    let _first = database(&folder);
    let refusal = Database::open(folder.path()).err().unwrap();
    assert!(matches!(refusal, DatabaseError::InUse { .. }));
    assert!(refusal.to_string().contains("in use by another kefu process"), "{refusal}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join(FILE_NAME);
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let refusal = Database::open(folder.path()).err().unwrap();
    assert!(matches!(refusal, DatabaseError::Unreadable { .. }), "{refusal}");
    assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 10_000]);
}

#[test]
fn a_file_of_a_later_format_is_refused() {
    let folder = folder();
    let file = redb::Database::create(folder.path().join(FILE_NAME)).unwrap();
    let transaction = file.begin_write().unwrap();
    transaction.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 3).unwrap();
    transaction.commit().unwrap();
    drop(file);
    let refusal = Database::open(folder.path()).err().unwrap().to_string();
    assert!(refusal.contains("format 3") && refusal.contains("update kefu"), "{refusal}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let refusal = Database::open(&in_the_way.join("data")).err().unwrap();
    assert!(matches!(&refusal, DatabaseError::Folder { path, .. } if path == Path::new(&in_the_way.join("data"))));
    let system: &io::Error = refusal.source().and_then(Error::source).unwrap().downcast_ref().unwrap();
    assert_eq!(system.kind(), io::ErrorKind::NotADirectory);
    let of_the_store = StoreError::from(refusal);
    assert!(of_the_store.source().and_then(Error::source).unwrap().is::<io::Error>(), "{of_the_store:?}");
}
