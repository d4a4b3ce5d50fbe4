use super::*;
use crate::testing::Disk;

/// A database in a folder of its own, on a disk that fails on demand.
fn on_a_disk() -> (TempDir, Disk, Database) {
    let (folder, disk) = (folder(), Disk::default());
    let database = disk.open(folder.path());
    (folder, disk, database)
}

/// Tries until it works: the database repairs itself on a thread of its own.
async fn insert_at_last(database: &Database, key: u64) {
    let tries = async {
        while database.write(insert(key)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), tries).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_fails_each_caller_and_nothing_is_lost_once_there_is_room() {
    let (folder, disk, database) = on_a_disk();
    database.write(insert(1)).await.unwrap();

    disk.set_full(true);
    for key in [2, 3] {
        assert!(matches!(database.write(insert(key)).await, Err(DatabaseError::Full(_))));
    }
    assert_eq!(database.health(), Health::Down("the disk that holds the database is full".to_owned()));

    disk.set_full(false);
    insert_at_last(&database, 4).await;
    assert_eq!(database.health(), Health::Up);
    assert_eq!(keys(&database).await, [1, 4]);
    database.close().await;
    assert_eq!(keys(&self::database(&folder)).await, [1, 4]);
}

#[tokio::test]
async fn a_disk_that_was_gone_is_used_again_when_it_is_back() {
    let (_folder, disk, database) = on_a_disk();
    database.write(insert(1)).await.unwrap();

    disk.set_gone(true);
    assert!(matches!(database.write(insert(2)).await, Err(DatabaseError::Failed(_))));
    assert!(database.read(|transaction| Ok(transaction.open_table(TEST)?)).await.is_err());
    assert!(matches!(database.health(), Health::Down(_)));

    disk.set_gone(false);
    insert_at_last(&database, 3).await;
    assert_eq!(keys(&database).await, [1, 3]);
}

#[tokio::test]
async fn the_file_has_the_room_that_it_counts_on_and_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let (folder, database) = opened();
    for key in 0..3 {
        database.write(insert(key)).await.unwrap();
        let file = std::fs::metadata(folder.path().join(FILE_NAME)).unwrap();
        assert!(file.blocks() * 512 >= file.len(), "{} of {} bytes are on the disk", file.blocks() * 512, file.len());
        assert_eq!(file.mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_or_replaced_is_reported_and_written_until_the_end() {
    let (folder, database) = opened();
    database.write(insert(1)).await.unwrap();
    let (path, aside) = (folder.path().join(FILE_NAME), folder.path().join("aside"));
    let reason = |database: &Database| match database.health() {
        Health::Up => "up".to_owned(),
        Health::Degraded(reason) | Health::Down(reason) => reason,
    };
    assert_eq!(reason(&database), "up");
    std::fs::rename(&path, &aside).unwrap();
    assert!(reason(&database).contains("is gone"), "{}", reason(&database));
    std::fs::copy(&aside, &path).unwrap();
    assert!(reason(&database).contains("is another file"), "{}", reason(&database));
    database.write(insert(2)).await.unwrap();
    assert_eq!(keys(&database).await, [1, 2]);
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(reason(&database), "up");
}

#[tokio::test]
async fn after_a_failure_of_the_disk_no_new_file_is_made_where_the_old_one_was() {
    let (folder, disk, database) = on_a_disk();
    database.write(insert(1)).await.unwrap();
    let (path, aside) = (folder.path().join(FILE_NAME), folder.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    disk.set_gone(true);
    database.write(insert(2)).await.unwrap_err();
    disk.set_gone(false);
    assert!(matches!(database.write(insert(3)).await, Err(DatabaseError::Gone { .. })));
    assert!(!path.exists());
    std::fs::rename(&aside, &path).unwrap();
    insert_at_last(&database, 4).await;
    assert_eq!(keys(&database).await, [1, 4]);
}

#[tokio::test]
async fn a_reader_that_meets_a_fault_has_it_mended_for_all() {
    let (folder, disk, database) = on_a_disk();
    // More than a page, so that it is not read when the file is opened.
    let fill = |transaction: &WriteTransaction| (0..1_000).try_for_each(|key| insert(key)(transaction));
    database.write(fill).await.unwrap();
    database.close().await;

    let database = disk.open(folder.path());
    let read = |transaction: &ReadTransaction| Ok(transaction.open_table(TEST)?.get(500)?.is_some());
    disk.set_gone(true);
    assert!(database.read(read).await.is_err());
    disk.set_gone(false);
    let tries = async {
        while database.read(read).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), tries).await.unwrap();
    assert_eq!(keys(&database).await, Vec::from_iter(0..1_000));
}

#[tokio::test]
async fn a_commit_without_an_answer_is_an_error_and_done_or_undone_as_a_whole() {
    let (_folder, disk, database) = on_a_disk();
    database.write(insert(0)).await.unwrap();
    let go_on = occupy(&database).await;
    let writes = [queued(&database, insert(1)).await, queued(&database, insert(2)).await];
    go_on.send(()).unwrap();
    disk.fail_next_sync();
    let failed = [writes.into_iter()];
    for write in failed.into_iter().flatten() {
        write.await.unwrap().ok();
    }
    let kept = keys(&database).await;
    assert!(kept == [0] || kept == [0, 1, 2], "{kept:?}");
}

#[tokio::test]
async fn a_failed_commit_is_undone_however_often_the_file_cannot_be_opened_meanwhile() {
    const ROWS: (&[u8], &[u8]) = (&[0; 10], &[255; 10]);
    let (_folder, disk, database) = on_a_disk();
    disk.set_gone(true);
    let put = |transaction: &Transaction| {
        transaction.put(Table::READY, &[1; 10], vec![1]);
        Ok(())
    };
    assert!(database.change(put).await.is_err());
    for _ in 0..3 {
        assert!(database.write(insert(1)).await.is_err());
    }
    disk.set_gone(false);
    insert_at_last(&database, 2).await;
    let found = eventually_read(&database, |transaction| transaction.first(Table::READY, ROWS)).await;
    assert!(found.is_none(), "the failed change is still there");
}

/// What `look` finds, once the database can be read again.
async fn eventually_read<T>(database: &Database, look: impl Fn(&Transaction) -> Result<T, redb::Error>) -> T {
    loop {
        match database.change_soon(&look) {
            Ok(found) => return found,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_write_that_panics_is_an_error_and_undone() {
    let (_folder, _disk, database) = on_a_disk();
    let work = |transaction: &WriteTransaction| -> Result<(), redb::Error> {
        transaction.open_table(TEST)?.insert(1, ())?;
        panic!("on purpose")
    };
    assert!(matches!(database.write(work).await, Err(DatabaseError::Failed(_))));
    database.write(insert(2)).await.unwrap();
    assert_eq!(keys(&database).await, [2]);
}
