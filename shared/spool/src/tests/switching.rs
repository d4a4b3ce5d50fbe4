use super::*;

#[tokio::test]
async fn a_push_goes_straight_while_the_broker_takes_it() {
    let setup = Setup::new().await;
    setup.push("a", 1).await;
    assert_eq!((setup.broker.of("a"), setup.waiting()), (vec![1], 0));
    assert_eq!((setup.spool.health(), setup.spool.spool_health()), (Health::Up, Health::Up));
}

#[tokio::test]
async fn a_broker_that_hangs_costs_the_first_push_its_patience_and_the_later_ones_nothing() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Hanging);
    let started = Instant::now();
    setup.push("a", 1).await;
    assert!(started.elapsed() >= PATIENCE);
    let started = Instant::now();
    for user in 0..20 {
        setup.push(&format!("user{user}"), 1).await;
    }
    assert!(started.elapsed() < PATIENCE * 20, "they waited, too: {:?}", started.elapsed());
    assert_eq!((setup.waiting(), setup.broker.stored()), (21, vec![]));
    assert!(matches!(setup.spool.health(), Health::Degraded(_)), "{:?}", setup.spool.health());
}

#[tokio::test]
async fn those_who_wait_at_the_switch_are_stored_in_the_order_in_which_they_came() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Hanging);
    let mut pushes = Vec::new();
    for id in 1..=30 {
        for user in ["a", "b", "c"] {
            pushes.push(setup.send(user, id).await);
        }
    }
    for push in pushes {
        within(LONG, push).await.unwrap();
    }
    setup.relays_all().await;
    for user in ["a", "b", "c"] {
        assert_eq!(setup.broker.of(user), Vec::from_iter(1..=30), "{user}");
    }
}

#[tokio::test]
async fn newer_pushes_stay_behind_those_in_the_spool_and_go_straight_when_it_is_empty() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Down);
    for id in 1..=200 {
        setup.push("a", id).await;
    }
    setup.broker.set(Mode::Up);
    for id in 201..=300 {
        setup.push("a", id).await;
    }
    setup.empty().await;
    let asked = setup.broker.asked();
    setup.push("a", 301).await;
    assert_eq!((setup.broker.asked() - asked, setup.waiting()), (1, 0));
    assert_eq!(setup.broker.of("a"), Vec::from_iter(1..=301));
    eventually("the file is empty, too", || setup.spool.state.figures().bytes == 0).await;
}

#[tokio::test]
async fn a_publish_whose_end_is_not_known_is_spooled_too() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Mute);
    setup.push("a", 1).await;
    assert_eq!(setup.waiting(), 1);
    setup.broker.set(Mode::Up);
    setup.push("a", 2).await;
    setup.empty().await;
    let stored: Vec<u32> = setup.broker.stored().into_iter().map(|(_, id)| id).collect();
    assert!(stored.len() > 2, "no copy: {stored:?}");
    assert_eq!(setup.broker.of("a"), [1, 2]);
}

#[tokio::test]
async fn a_broker_that_is_known_to_be_down_is_not_waited_for() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), Broker::new());
    // Long enough for a write on a slow disk.
    let patience = PATIENCE * 10;
    let spool = open(broker.clone(), Settings { patience, ..settings(folder.path()) }).await;
    let setup = Setup { broker, spool, turns: Arc::default(), folder };
    setup.broker.set(Mode::Down);
    eventually("it is noticed", || matches!(setup.spool.spool_health(), Health::Down(_))).await;
    let started = Instant::now();
    setup.push("a", 1).await;
    assert!(started.elapsed() < patience, "{:?}", started.elapsed());
    setup.relays_all().await;
    assert_eq!(setup.broker.of("a"), [1]);
}

#[tokio::test]
async fn an_outage_without_a_push_leaves_nothing_behind() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Down);
    eventually("it is noticed", || matches!(setup.spool.health(), Health::Degraded(_))).await;
    setup.broker.set(Mode::Up);
    eventually("it is over", || setup.spool.health() == Health::Up).await;
}

#[tokio::test]
async fn the_relay_does_not_spin_while_the_broker_refuses() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Down);
    for id in 1..=5 {
        setup.push("a", id).await;
    }
    let asked = setup.broker.asked();
    tokio::time::sleep(PATIENCE * 10).await;
    assert!(setup.broker.asked() - asked < 30, "asked {} times in ten patiences", setup.broker.asked() - asked);
}

#[tokio::test]
async fn a_short_hiccup_leaves_the_spool_alone() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Hanging);
    let push = setup.send("a", 1).await;
    tokio::time::sleep(PATIENCE / 4).await;
    setup.broker.set(Mode::Up);
    within(LONG, push).await.unwrap();
    assert_eq!((setup.broker.stored().len(), setup.waiting()), (1, 0));
}

#[tokio::test]
async fn closing_leaves_what_waits_for_the_next_start_and_takes_nothing_more() {
    let setup = Setup::new().await;
    setup.broker.set(Mode::Down);
    setup.push("a", 1).await;
    setup.spool.close(LONG).await;
    assert!(setup.spool.publish(&envelope("a", 2), Turn::unordered()).await.is_err());
    setup.broker.set(Mode::Up);
    let setup = setup.crash().await;
    setup.empty().await;
    assert_eq!(setup.broker.of("a"), [1]);
}
