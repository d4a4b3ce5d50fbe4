use kefu_messages::envelope::Envelope;
use kefu_messages::testing::plan;
use kefu_queue::Settlement;
use kefu_runtime::clock;
use kefu_store::Progress;
use kefu_wechat::openid::OpenId;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::wechat::SEND;
use crate::testing::{Bench, DONE, Settled, delivery, received, seconds, settle_down};

/// An outbound message with texts that no rule has, although a rule matches the first text.
fn envelope(texts: &[&str]) -> Envelope {
    let outbound = Outbound { replies: plan(texts).steps, business_id: None };
    Envelope::of_send("wx1", "order-1", OpenId::new("oA"), outbound, clock::now_ms())
}

async fn handle(bench: &Bench, envelope: &Envelope, attempt: u32) -> Settled {
    crate::testing::handle(&bench.handler, Ok(envelope.clone()), attempt).await
}

fn statuses(bench: &Bench, envelope: &Envelope) -> Vec<&'static str> {
    bench.store.progress_of(&envelope.key).iter().map(Progress::status).collect()
}

#[tokio::test(start_paused = true)]
async fn its_replies_are_sent_in_order_whatever_the_rules_say() {
    let (bench, envelope) = (Bench::new(), envelope(&["hi", "{content} there"]));
    assert_eq!(handle(&bench, &envelope, 0).await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["hi", "{content} there"]);
    assert_eq!(statuses(&bench, &envelope), ["sent"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_sent_in_parts() {
    let (bench, long) = (Bench::new(), "好".repeat(1_500));
    let envelope = envelope(&[&long]);
    assert_eq!(handle(&bench, &envelope, 0).await, DONE);
    let texts = bench.wechat.texts_to("oA");
    assert!(texts.len() == 3 && texts.concat() == long, "{texts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_not_cut_to_what_is_left_and_the_rest_is_sent_when_the_user_has_written_again() {
    let (bench, long) = (Bench::with("[window]\nmessage_replies = 4\n"), "好".repeat(1_500));
    assert_eq!(bench.handle("oA", "three").await, DONE);
    let envelope = envelope(&[&long]);
    let settled = handle(&bench, &envelope, 0).await;
    assert!(matches!(settled, Settled::As(Settlement::Dead { reason: DeadReason::WindowClosed, .. })), "{settled:?}");
    assert_eq!(bench.wechat.texts_to("oA").len(), 4);
    assert_eq!(bench.handle("oA", "nothing").await, DONE);
    assert_eq!(handle(&bench, &envelope, 0).await, DONE);
    assert_eq!(bench.wechat.texts_to("oA")[3..].concat(), long);
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_sends_nothing_and_says_again_that_it_is_sent() {
    let (bench, envelope) = (Bench::new(), envelope(&["hi"]));
    for _ in 0..2 {
        assert_eq!(handle(&bench, &envelope, 0).await, DONE);
    }
    assert_eq!(bench.wechat.texts_to("oA"), ["hi"]);
    assert_eq!(statuses(&bench, &envelope), ["sent", "sent"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_dead_with_the_words_of_its_dead_letter() {
    let (bench, envelope) = (Bench::new(), envelope(&[" "]));
    let Settled::As(Settlement::Dead { reason, error }) = handle(&bench, &envelope, 0).await else {
        panic!("not dead")
    };
    assert_eq!((reason, error.as_str()), (DeadReason::Refused, "replies[0]: text is empty"));
    let told = bench.store.progress_of(&envelope.key);
    assert!(matches!(&told[..], [Progress::Dead { reason, error: same, .. }] if reason == "refused" && *same == error));
    assert!(bench.wechat.calls(SEND).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_48_hours_is_dead() {
    let (bench, envelope) = (Bench::new(), received(seconds(49 * 3_600), envelope(&["hi"])));
    handle(&bench, &envelope, 0).await;
    let told = bench.store.progress_of(&envelope.key);
    assert!(matches!(&told[..], [Progress::Dead { reason, .. }] if reason == "window_closed"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_account_is_not_known_is_queued_until_it_is_dead() {
    let bench = Bench::new();
    let envelope = Envelope { account: "wx9".to_owned(), ..envelope(&["hi"]) };
    for attempt in 0..5 {
        handle(&bench, &envelope, attempt).await;
        assert_eq!(statuses(&bench, &envelope), [""; 0]);
    }
    handle(&bench, &envelope, 5).await;
    assert_eq!(statuses(&bench, &envelope), ["dead"]);
}

#[tokio::test(start_paused = true)]
async fn it_is_not_settled_before_its_end_can_be_told() {
    let (bench, envelope) = (Bench::new(), envelope(&["hi"]));
    let (delivery, watch) = delivery(Ok(envelope.clone()), 0);
    let (handler, store) = (bench.handler.clone(), bench.store.clone());
    let settlement = async { handler.settler.report(&delivery, &Settlement::Done).await };
    store.set_down(true);
    let back = async {
        tokio::time::sleep(seconds(60)).await;
        settle_down().await;
        assert_eq!(watch.get(), Settled::Open);
        store.set_down(false);
    };
    let (told, ()) = tokio::join!(settlement, back);
    assert_eq!((told, statuses(&bench, &envelope)), (Ok(()), vec!["sent"]));
}

#[tokio::test(start_paused = true)]
async fn at_a_shutdown_it_is_given_back_and_told_by_the_next_worker() {
    let (bench, envelope) = (Bench::new(), envelope(&["hi"]));
    let (delivery, _watch) = delivery(Ok(envelope.clone()), 0);
    bench.store.set_down(true);
    let report = bench.handler.settler.report(&delivery, &Settlement::Done);
    let stop = async { CancellationToken::cancel(&bench.shutdown) };
    let (told, ()) = tokio::join!(report, stop);
    assert_eq!((told, statuses(&bench, &envelope)), (Err(Outcome::HandedBack), vec![]));
}
