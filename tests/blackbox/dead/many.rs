//! Many dead letters, and a replay that does not come to its end.

use super::*;

async fn of_a_thousand_the_oldest_ten(backend: Backend) {
    let (shop, users) = with_dead_letters(ShopOptions::new(backend), 1_000).await;
    let config = shop.stack.config();
    let began = Instant::now();
    let all = list(config, &[]).await;
    let listing = began.elapsed();
    let died: Vec<_> = all.iter().map(|letter| letter["died_at_ms"].as_u64().unwrap()).collect();
    assert!(died.is_sorted(), "not in the order of death");
    assert_eq!(list(config, &["--max", "10"]).await, all[..10]);
    assert_eq!(printed(config, &["drop", "--all", "--max", "10"]).await, "10 dead letters dropped\n");
    assert_eq!(list(config, &[]).await, all[10..]);
    // The worker goes on with them at once.
    assert_eq!(printed(config, &["replay", "--reason", "refused", "--max", "10"]).await, "10 dead letters replayed\n");
    eventually(PATIENCE, "ten replies", async || {
        let replied = users.iter().filter(|user| !shop.replies(user).is_empty()).count();
        if replied == 10 { Ok(()) } else { Err(replied) }
    })
    .await;
    assert_eq!(list(config, &[]).await, all[20..]);
    let began = Instant::now();
    assert_eq!(printed(config, &["replay", "--all"]).await, "980 dead letters replayed\n");
    println!("{backend:?}: listing 1,000 took {listing:?}, replaying 980 {:?}", began.elapsed());
    eventually(PATIENCE, "all but the ten that were dropped have a reply", async || {
        let replies: usize = users.iter().map(|user| shop.replies(user).len()).sum();
        if replies == 990 { Ok(()) } else { Err(replies) }
    })
    .await;
    assert!(list(config, &[]).await.is_empty());
}

on_each_backend!(of_a_thousand_the_oldest_ten, flavor = "multi_thread");

/// Replays all and does `interrupt` once the first replies are there.
async fn replay_until(shop: &Shop, users: &[String]) -> tokio::process::Child {
    let replay = command(shop.stack.config(), &["replay", "--all"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually(PATIENCE, "the first replies", async || {
        let replied = users.iter().any(|user| !shop.replies(user).is_empty());
        if replied { Ok(()) } else { Err("none yet") }
    })
    .await;
    replay
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_loses_and_doubles_nothing() {
    for backend in Backend::ALL {
        let (shop, users) = with_dead_letters(ShopOptions::new(backend), 300).await;
        let mut replay = replay_until(&shop, &users).await;
        replay.kill().await.unwrap();
        let config = shop.stack.config();
        let left = eventually(PATIENCE, "the dead letters are back in their places", async || {
            // On the broker they come back when it has noticed; what was replayed is replied to by then.
            let left = list(config, &[]).await.len();
            let replied = users.iter().filter(|user| !shop.replies(user).is_empty()).count();
            if left + replied >= users.len() { Ok(left) } else { Err(format!("{left} left, {replied} replied to")) }
        })
        .await;
        println!("{backend:?}: {left} of {} were left", users.len());
        printed(config, &["replay", "--all"]).await;
        for user in &users {
            shop.replies_within(user, 1).await;
        }
        assert!(list(config, &[]).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kefu_serve_that_is_killed_in_a_replay_loses_nothing() {
    let mut options = ShopOptions::new(Backend::Embedded);
    // So that one reply at most may or may not have been sent.
    options.settings.push(("worker", "concurrency = 1".to_owned()));
    let (mut shop, users) = with_dead_letters(options, 300).await;
    let replay = replay_until(&shop, &users).await;
    shop.crash_and_restart_ingress().await;
    let output = timeout(PATIENCE, replay.wait_with_output()).await.expect("it ends").unwrap();
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() || complaint.contains("broke before the report arrived"), "{said}{complaint}");
    let config = shop.stack.config();
    println!("{said}{complaint}{} were left", list(config, &[]).await.len());
    kefu_dead(config, &["replay", "--all"]).await;
    eventually(PATIENCE, "every user has a reply", async || {
        let none = users.iter().filter(|user| shop.replies(user).is_empty()).count();
        if none == 0 { Ok(()) } else { Err(format!("{none} have none")) }
    })
    .await;
    let replies: usize = users.iter().map(|user| shop.replies(user).len()).sum();
    assert!(replies <= users.len() + 1, "{replies} replies");
    assert!(list(config, &[]).await.is_empty());
}
