use tokio::time::Instant;

use super::*;
use crate::outcome::Interrupt;
use crate::testing::wechat::TYPING;
use crate::testing::{Bench, after, delivery, envelope, received, seconds};

/// The result of the work, and the seconds after its start at which typing was shown.
async fn typed(bench: &Bench, age: Duration, lasts: Duration) -> (Result<&'static str, Outcome>, Vec<u64>) {
    let mut envelope = received(age, envelope("wx1", "oA", "hi"));
    envelope.push.business_id = Some(7);
    let (handler, account) = (&*bench.handler, bench.config.accounts.get("wx1").unwrap());
    let interrupt = Interrupt::new(&bench.shutdown, &Default::default());
    let mut slot = handler.slots.take().await;
    let claim = handler.leases.claim(&envelope.key, &interrupt, &mut slot).await.unwrap().unwrap();
    let (delivery, _watch) = delivery(Ok(envelope.clone()), 0);
    let mut attempt = Attempt::new(&delivery, &envelope, account, claim, slot);
    let start = Instant::now();
    let (sender, api) = (&handler.sender, bench.config.wechat.typing_api);
    let typing = Typing::new(api, sender.wechat.clone(), sender.tokens.clone(), sender.pauses.clone());
    let output = typing.wait_for_answer(&mut attempt, async {
        tokio::time::sleep(lasts).await;
        "done"
    });
    let output = output.await;
    let calls = bench.wechat.calls(TYPING);
    for call in &calls {
        assert_eq!(call.body, serde_json::json!({ "touser": "oA", "command": "Typing", "businessid": 7 }));
    }
    (output, calls.iter().map(|call| (call.at - start).as_secs()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_user_who_waits_sees_somebody_typing_all_the_time() {
    let bench = Bench::new();
    assert_eq!(typed(&bench, seconds(0), seconds(20)).await, (Ok("done"), vec![1, 16]));
}

#[tokio::test(start_paused = true)]
async fn nobody_types_for_what_is_quick_or_old_or_when_it_is_turned_off() {
    assert_eq!(typed(&Bench::new(), seconds(0), Duration::from_millis(900)).await, (Ok("done"), vec![]));
    assert_eq!(typed(&Bench::new(), seconds(31), seconds(20)).await, (Ok("done"), vec![]));
    let off = Bench::with("[wechat]\ntyping_api = \"off\"");
    assert_eq!(typed(&off, seconds(0), seconds(20)).await, (Ok("done"), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_tried_again_and_changes_nothing_about_the_work() {
    let bench = Bench::new();
    bench.wechat.errcode(TYPING, 45_081);
    let start = Instant::now();
    assert_eq!(typed(&bench, seconds(0), seconds(20)).await, (Ok("done"), vec![1]));
    assert_eq!(start.elapsed(), seconds(20));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_keeps_nobody_waiting() {
    let bench = Bench::new();
    bench.wechat.set_latency(seconds(3_600));
    let start = Instant::now();
    // The worker fetches the token first, and that fetch hangs.
    assert_eq!(typed(&bench, seconds(0), seconds(5)).await, (Ok("done"), vec![]));
    assert_eq!(start.elapsed(), seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_work() {
    let bench = Bench::new();
    let (outcome, ()) =
        tokio::join!(typed(&bench, seconds(0), seconds(20)), after(seconds(3), || bench.shutdown.cancel()));
    assert_eq!(outcome.0, Err(Outcome::HandedBack));
}
