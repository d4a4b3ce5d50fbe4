//! Processes that end while the assistant thinks, or right after.

use super::*;

#[tokio::test]
async fn a_worker_that_is_killed_while_the_assistant_thinks_asks_again_and_replies_once() {
    let (mut shop, stand_in) = start(Backend::Embedded, "").await;
    stand_in.script("long thought", [Answer::Hang]);
    say(&shop, "oUSER", "long thought").await;
    asked(&stand_in, "long thought", 1).await;
    shop.crash_and_restart_ingress().await;
    say(&shop, "oUSER", "by rule").await;
    assert_eq!(heard(&shop, "oUSER", 2).await, [by_assistant("re: long thought"), by_rule()]);
    assert_eq!(stand_in.asked().len(), 2);
}

#[tokio::test]
async fn a_worker_that_is_killed_after_the_answer_is_stored_does_not_ask_again_and_remembers_it_once() {
    let (mut shop, stand_in) = start(Backend::Embedded, "").await;
    shop.hangs_in_a_send("oUSER", "first").await;
    shop.crash_and_restart_ingress().await;
    assert_eq!(heard(&shop, "oUSER", 1).await, [by_assistant("re: first")]);
    assert_eq!(stand_in.asked_for("first").len(), 1);
    say(&shop, "oUSER", "second").await;
    heard(&shop, "oUSER", 2).await;
    let expected = [("system", PROMPT), ("user", "first"), ("assistant", "re: first"), ("user", "second")];
    assert_eq!(stand_in.asked_for("second")[0].messages(), expected);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_the_assistant_and_the_next_worker_asks_again() {
    let (mut shop, stand_in) = start(Backend::Production, "").await;
    stand_in.script("long thought", [Answer::Hang]);
    say(&shop, "oUSER", "long thought").await;
    asked(&stand_in, "long thought", 1).await;
    let worker = shop.stack.programs.remove(1);
    worker.terminate();
    // The grace time is 20 s.
    let (ended, output) = worker.end_within(Duration::from_secs(10)).await;
    assert!(ended.success(), "{output}");
    shop.stack.programs.push(kefu_harness::process::Program::start(shop.stack.launch(1)).await);
    assert_eq!(heard(&shop, "oUSER", 1).await, [by_assistant("re: long thought")]);
}
