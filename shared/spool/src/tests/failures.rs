use kefu_embedded::testing::Disk;
use kefu_messages::partition::Partition;
use kefu_queue::QueueError;

use super::*;
use crate::file::SpoolFile;
use crate::folders::Opened;

/// A spool whose disk fails on demand, with messages of the user `a` in it and a broker that hangs.
async fn on(disk: &Disk, messages: u32) -> Setup {
    let (folder, unusable) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let broker = Broker::new();
    broker.set(Mode::Hanging);
    let spool = open(broker.clone(), settings(unusable.path())).await;
    let file = SpoolFile::on(folder.path(), disk.open(folder.path()));
    file.scan().await.unwrap();
    for id in 1..=messages {
        let envelope = envelope("a", id);
        file.append(envelope.partition(PARTITIONS), id.into(), 5, envelope.to_json()).await.unwrap();
    }
    let found = file.scan().await.unwrap();
    watch::begin(&spool, Opened { own: (file, found), left: Vec::new() });
    if messages > 0 {
        eventually("they are read", || broker.asked() > 0).await;
    }
    Setup { broker, spool, turns: Arc::default(), folder }
}

/// A push that is given up like one that ingress has to answer.
async fn give_up(setup: &Setup, user: &str, id: u32) -> bool {
    tokio::time::timeout(PATIENCE * 4, publish(&setup.spool, &setup.turns, &envelope(user, id))).await.is_err()
}

fn said(health: &Health) -> &str {
    match health {
        Health::Up => "up",
        Health::Degraded(text) | Health::Down(text) => text,
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_the_broker_does_not_take_and_nothing_else() {
    let disk = Disk::default();
    let setup = on(&disk, 0).await;
    disk.set_full(true);
    assert!(give_up(&setup, "a", 1).await);
    let health = setup.spool.health();
    assert!(matches!(&health, Health::Down(text) if text.contains("full")), "{health:?}");
    assert!(said(&setup.spool.spool_health()).contains("full"));
    setup.broker.set(Mode::Up);
    setup.push("a", 2).await;
    setup.broker.set(Mode::Hanging);
    disk.set_full(false);
    setup.push("a", 3).await;
    setup.relays_all().await;
    assert_eq!(setup.broker.of("a"), [2, 3]);
}

#[tokio::test]
async fn what_cannot_be_taken_away_is_relayed_once_and_newer_pushes_go_straight_then() {
    let disk = Disk::default();
    let setup = on(&disk, 20).await;
    disk.set_full(true);
    setup.broker.set(Mode::Up);
    setup.push("a", 21).await;
    assert_eq!(setup.broker.of("a"), Vec::from_iter(1..=21));
    assert!(matches!(setup.spool.spool_health(), Health::Down(_)));
    disk.set_full(false);
    setup.empty().await;
    eventually("the file is empty", || setup.spool.state.figures().bytes == 0).await;
    assert_eq!(setup.broker.stored().len(), 21);
}

#[tokio::test]
async fn nobody_waits_for_a_file_that_stays_unreadable_and_it_is_relayed_when_it_can_be_read() {
    let disk = Disk::default();
    let setup = on(&disk, 1).await;
    // The first message is in memory already; the later messages are not.
    for id in 2..=3 {
        setup.push("a", id).await;
    }
    disk.set_gone(true);
    setup.broker.set(Mode::Up);
    setup.push("a", 4).await;
    assert_eq!(setup.broker.of("a"), [1, 4]);
    assert!(matches!(setup.spool.spool_health(), Health::Down(_)));
    disk.set_gone(false);
    setup.empty().await;
    assert_eq!(setup.broker.of("a"), [1, 4, 2, 3], "late, but not lost");
}

#[tokio::test]
async fn beyond_its_limit_the_spool_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let size = envelope("a", 10).to_json().len() as u64;
    let broker = Broker::new();
    let spool = open(broker.clone(), Settings { max_bytes: size * 3, ..settings(folder.path()) }).await;
    let setup = Setup { broker, spool, turns: Arc::default(), folder };
    setup.broker.set(Mode::Hanging);
    for id in 1..=2 {
        setup.push("a", id).await;
    }
    assert!(give_up(&setup, "a", 3).await);
    assert!(said(&setup.spool.health()).contains("spool_max_bytes"), "{:?}", setup.spool.health());
    setup.broker.set(Mode::Up);
    setup.push("a", 4).await;
    setup.empty().await;
    assert_eq!(setup.broker.of("a"), [1, 2, 4]);
}

#[tokio::test]
async fn nothing_is_written_to_a_file_that_was_deleted() {
    let setup = Setup::new().await;
    std::fs::remove_file(setup.folder.path().join("0/kefu.redb")).unwrap();
    eventually("it is noticed", || matches!(setup.spool.spool_health(), Health::Down(_))).await;
    setup.push("a", 1).await;
    setup.broker.set(Mode::Hanging);
    assert!(give_up(&setup, "a", 2).await);
}

#[tokio::test]
async fn a_broken_file_is_left_as_it_is_and_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("0")).unwrap();
    let file = folder.path().join("0/kefu.redb");
    std::fs::write(&file, "no database, but perhaps all that is left of one").unwrap();
    let setup = Setup::over(folder, Broker::new()).await;
    setup.push("a", 1).await;
    assert!(said(&setup.spool.spool_health()).contains("0/kefu.redb"), "{:?}", setup.spool.spool_health());
    assert_eq!(setup.spool.health(), Health::Up);
    setup.broker.set(Mode::Down);
    assert!(give_up(&setup, "a", 2).await);
    assert!(matches!(setup.spool.health(), Health::Down(_)));
    drop(setup.spool);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "no database, but perhaps all that is left of one");
}

#[tokio::test]
async fn a_folder_that_cannot_be_had_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let spool = open(Broker::new(), settings(file.path())).await;
    assert!(said(&spool.spool_health()).contains(file.path().to_str().unwrap()));
    within(LONG, spool.publish(&envelope("a", 1), Turn::unordered())).await.unwrap();
}

#[tokio::test]
async fn a_row_that_is_no_envelope_is_set_aside_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = SpoolFile::open(&folder.path().join("0")).unwrap();
    file.scan().await.unwrap();
    let partition = envelope("a", 1).partition(PARTITIONS);
    file.append(partition, 1, 5, b"{\"v\":99}".to_vec()).await.unwrap();
    file.append(partition, 2, 5, envelope("a", 1).to_json()).await.unwrap();
    file.close().await;
    let setup = Setup::over(folder, Broker::new()).await;
    setup.empty().await;
    assert_eq!(setup.broker.of("a"), [1]);
    eventually("it is out of the way", || setup.spool.state.figures().bytes == 0).await;
    setup.spool.close(LONG).await;
    let file = SpoolFile::open(&setup.folder.path().join("0")).unwrap();
    assert_eq!(file.unreadable().await.unwrap(), [b"{\"v\":99}"]);
}

#[tokio::test]
async fn a_reading_is_bounded_in_messages_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = SpoolFile::open(folder.path()).unwrap();
    file.scan().await.unwrap();
    let partition = Partition::from(0);
    for number in 1..=5 {
        file.append(partition, number, 0, vec![b'x'; 100]).await.unwrap();
    }
    let read = async |after, rows, bytes| file.read(partition, after, rows, bytes).await.unwrap().len();
    assert_eq!(
        (read(0, 3, 1_000).await, read(0, 9, 150).await, read(0, 9, 1).await, read(4, 9, 1_000).await),
        (3, 2, 1, 1)
    );
}

/// The broker's refusals are retried like any other failure.
#[tokio::test]
async fn an_error_is_not_handed_to_the_caller() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Down);
    let outcome: Result<(), QueueError> = within(LONG, setup.spool.publish(&envelope("a", 1), Turn::unordered())).await;
    assert!(outcome.is_ok());
}
