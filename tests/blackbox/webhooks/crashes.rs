//! A worker that is killed while a webhook thinks, and after it has answered.

use kefu_harness::stack::Backend;
use kefu_harness::webhook::Does;
use kefu_simulator::Message;

use super::{start, texts};

#[tokio::test]
async fn a_worker_that_is_killed_before_the_answer_asks_again_and_the_user_has_one_reply() {
    for backend in Backend::ALL {
        let (mut shop, service) = start(backend, Does::text("fine"), "timeout_ms = 60_000").await;
        service.then([Does::Hang]);
        shop.push("oUSER", Message::text("one")).await;
        service.asked_within(1).await;
        let worker = shop.stack.programs.len() - 1;
        shop.stack.crash_and_restart(worker).await;
        assert_eq!(texts(&shop.replies_within("oUSER", 1).await), ["fine"], "{backend:?}");
        let asked = service.asked();
        assert_eq!(asked.len(), 2, "{backend:?}");
        assert_eq!(asked[0].header("kefu-message"), asked[1].header("kefu-message"));
        assert_eq!(asked[0].body, asked[1].body);
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_after_the_answer_sends_what_it_was_and_asks_no_more() {
    let (mut shop, service) = start(Backend::Embedded, Does::text("another answer"), "").await;
    service.then([Does::text("the answer")]);
    shop.hangs_in_a_send("oUSER", "one").await;
    shop.stack.crash_and_restart_ingress().await;
    assert_eq!(texts(&shop.replies_within("oUSER", 1).await), ["the answer"]);
    assert_eq!(service.asked().len(), 1);
}
