use super::*;
use crate::file::SpoolFile;
use crate::folders::Folders;

#[tokio::test]
async fn what_a_crash_leaves_is_relayed_before_anything_newer() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Hanging);
    for id in 1..=100 {
        setup.push("a", id).await;
    }
    let setup = setup.crash().await;
    assert_eq!(setup.waiting(), 100);
    assert!(setup.spool.state.figures().oldest_ms.is_some());
    let newer = setup.send("a", 101).await;
    within(LONG, newer).await.unwrap();
    assert_eq!(setup.waiting(), 101, "the newer one went past them");
    setup.relays_all().await;
    assert_eq!(setup.broker.of("a"), Vec::from_iter(1..=101));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_relaying_loses_nothing_and_keeps_the_order() {
    let mut setup = Setup::new().await;
    setup.broker.set(Mode::Down);
    for id in 1..=300 {
        setup.push("a", id).await;
    }
    for _ in 0..5 {
        setup.broker.set(Mode::Up);
        let before = setup.broker.stored().len();
        eventually("some are relayed", || setup.broker.stored().len() > before || setup.waiting() == 0).await;
        setup.broker.set(Mode::Hanging);
        setup = setup.crash().await;
    }
    setup.relays_all().await;
    assert_eq!(setup.broker.of("a"), Vec::from_iter(1..=300));
}

#[tokio::test]
async fn processes_that_share_a_folder_use_files_of_their_own() {
    let setup = Setup::new().await;
    let other = open(setup.broker.clone(), settings(setup.folder.path())).await;
    setup.broker.set(Mode::Down);
    setup.push("a", 1).await;
    within(LONG, other.publish(&envelope("b", 1), Turn::unordered())).await.unwrap();
    assert_eq!((setup.waiting(), other.state.figures().waiting), (1, 1));
    assert!(setup.folder.path().join("0").is_dir() && setup.folder.path().join("1").is_dir());
    setup.relays_all().await;
    eventually("the other one is empty", || other.spool_health() == Health::Up).await;
    assert_eq!((setup.broker.of("a"), setup.broker.of("b")), (vec![1], vec![1]));
}

#[tokio::test]
async fn what_another_process_left_is_taken_over_and_relayed_first() {
    let setup = Setup::new().await;
    let other = open(setup.broker.clone(), settings(setup.folder.path())).await;
    setup.broker.set(Mode::Hanging);
    within(LONG, other.publish(&envelope("a", 1), Turn::unordered())).await.unwrap();
    end(other).await;
    let setup = setup.crash().await;
    assert_eq!(setup.waiting(), 1);
    setup.push("a", 2).await;
    setup.relays_all().await;
    assert_eq!(setup.broker.of("a"), [1, 2]);
}

#[tokio::test]
async fn what_a_process_left_that_does_not_come_back_is_taken_over_at_the_second_look() {
    let setup = Setup::new().await;
    let other = open(setup.broker.clone(), settings(setup.folder.path())).await;
    setup.broker.set(Mode::Hanging);
    within(LONG, other.publish(&envelope("a", 1), Turn::unordered())).await.unwrap();
    setup.broker.set(Mode::Down);
    let mut folders = Folders::after(setup.folder.path().to_owned(), 0);
    assert!(folders.look_again().await.is_empty() && folders.look_again().await.is_empty(), "its process lives");
    end(other).await;
    assert!(folders.look_again().await.is_empty(), "it may be about to start again");
    watch::take_over(&setup.spool, folders.look_again().await);
    assert_eq!(setup.waiting(), 1);
    setup.relays_all().await;
    assert_eq!(setup.broker.of("a"), [1]);
    eventually("its folder is free", || SpoolFile::open(&setup.folder.path().join("1")).is_ok()).await;
}

#[tokio::test]
async fn fewer_partitions_than_before_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::new();
    broker.set(Mode::Hanging);
    let many = open(broker.clone(), Settings { partitions: 64, ..settings(folder.path()) }).await;
    for user in 0..40 {
        within(LONG, many.publish(&envelope(&format!("user{user}"), 1), Turn::unordered())).await.unwrap();
    }
    end(many).await;
    let setup = Setup::over(folder, broker).await;
    // The first messages of some users wait in partitions that are no longer configured.
    setup.broker.set(Mode::Up);
    for user in 0..40 {
        within(LONG, setup.spool.publish(&envelope(&format!("user{user}"), 2), Turn::unordered())).await.unwrap();
    }
    setup.relays_all().await;
    for user in 0..40 {
        assert_eq!(setup.broker.of(&format!("user{user}")), [1, 2], "user{user}");
    }
}
