use kefu_messages::testing::plan;
use kefu_store::testing::Entry;

use super::*;
use crate::testing::wechat::{SEND, STABLE_TOKEN, UPLOAD};
use crate::testing::{Bench, DONE, PNG, after, envelope, handle, key, reason, retry_after, seconds};

mod pauses;

#[tokio::test(start_paused = true)]
async fn what_passes_is_retried_in_the_lane_until_it_is_sent() {
    let bench = Bench::new();
    bench.wechat.answer(STABLE_TOKEN, 500, "oops");
    bench.wechat.answer(STABLE_TOKEN, 200, r#"{"access_tok"#);
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert_eq!(bench.wechat.calls(STABLE_TOKEN).len(), 3);

    bench.wechat.answer(SEND, 500, "oops");
    bench.wechat.answer(SEND, 200, "<html>busy</html>");
    assert_eq!(bench.handle("oB", "hi").await, DONE);
    assert_eq!(bench.wechat.texts_to("oB").len(), 3);

    bench.wechat.errcode(SEND, -1);
    bench.wechat.answer(SEND, 200, r#"{"errcode":"-1","errmsg":"system error"}"#);
    bench.wechat.fail(SEND, Failure::Passing("connection refused".into()));
    assert_eq!(bench.handle("oC", "hi").await, DONE);
    assert_eq!(bench.wechat.texts_to("oC").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_outage_longer_than_the_lane_waits_goes_back_to_the_queue() {
    let bench = Bench::new();
    bench.wechat.fail_always(SEND, &Failure::Passing("connection refused".into()));
    let start = Instant::now();
    assert_eq!(retry_after(&bench.handle("oA", "hi").await), seconds(5));
    assert!(start.elapsed() <= seconds(60), "{:?}", start.elapsed());
    let entry = bench.store.entry(&key("oA", "hi"));
    assert_eq!(entry.begun, None, "it is known not to have been sent");
}

#[tokio::test(start_paused = true)]
async fn a_rules_plan_is_in_the_ledger_from_the_begin_of_its_first_step_on() {
    let bench = Bench::new();
    bench.wechat.fail_always(STABLE_TOKEN, &Failure::Passing("connection refused".into()));
    assert_eq!(retry_after(&bench.handle("oA", "three").await), seconds(5));
    assert_eq!(bench.store.entry(&key("oA", "three")).plan, None, "another attempt plans anew");

    let bench = Bench::new();
    bench.wechat.answer(SEND, 200, r#"{"errcode":0,"errmsg":"ok"}"#);
    bench.wechat.errcode(SEND, 45015);
    reason(&bench.handle("oA", "three").await);
    assert_eq!(bench.store.entry(&key("oA", "three")).plan, Some(plan(&["one", "two", "three"])));

    bench.wechat.set_latency(seconds(2));
    let (settled, entry) =
        tokio::join!(bench.handle("oB", "hi"), after(seconds(1), || bench.store.entry(&key("oB", "hi"))));
    assert_eq!((entry.plan, entry.begun), (Some(plan(&["您好"])), Some(0)), "while WeChat is called");
    assert_eq!(settled, DONE);
}

#[tokio::test(start_paused = true)]
async fn a_closed_window_makes_a_dead_letter_and_stops_the_plan() {
    for errcode in [45015, 45047] {
        let bench = Bench::new();
        bench.wechat.answer(SEND, 200, r#"{"errcode":0,"errmsg":"ok"}"#);
        bench.wechat.errcode(SEND, errcode);
        let settled = bench.handle("oA", "three").await;
        assert_eq!(reason(&settled), DeadReason::WindowClosed);
        assert_eq!(bench.wechat.texts_to("oA"), ["one", "two"]);
        let entry = bench.store.entry(&key("oA", "three"));
        assert_eq!((entry.next_step, entry.begun, entry.done), (1, None, false), "a replay goes on with the second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_is_repeated_once() {
    let bench = Bench::new();
    bench.wechat.fail(SEND, Failure::Unanswered("timed out".into()));
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    let sends = bench.wechat.calls(SEND);
    assert_eq!(sends.len(), 2);
    assert_eq!(sends[1].at - sends[0].at, seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_twice_is_a_dead_letter_that_says_so() {
    let bench = Bench::new();
    for _ in 0..3 {
        bench.wechat.answer(SEND, 200, r#"{"err"#);
    }
    let settled = bench.handle("oA", "hi").await;
    assert_eq!(reason(&settled), DeadReason::Exhausted);
    assert!(format!("{settled:?}").contains("may have been sent"), "{settled:?}");
    assert_eq!(bench.wechat.calls(SEND).len(), 2);
    assert_eq!(bench.store.entry(&key("oA", "hi")).begun, Some(0));
}

#[tokio::test(start_paused = true)]
async fn with_skip_a_send_without_an_answer_counts_as_sent() {
    let bench = Bench::with("[worker]\nambiguous = \"skip\"");
    bench.wechat.fail(SEND, Failure::Unanswered("timed out".into()));
    assert_eq!(bench.handle("oA", "three").await, DONE);
    assert_eq!(bench.wechat.texts_to("oA"), ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_a_dead_worker_began_is_sent_again_or_skipped_as_configured() {
    for (more, texts) in [("", &["one", "two", "three"][..]), ("[worker]\nambiguous = \"skip\"", &["two", "three"][..])]
    {
        let bench = Bench::with(more);
        let entry = Entry { plan: Some(plan(&["one", "two", "three"])), begun: Some(0), ..Entry::default() };
        bench.store.leave_behind(&key("oA", "three"), entry, seconds(0));
        assert_eq!(bench.handle("oA", "three").await, DONE);
        assert_eq!(bench.wechat.texts_to("oA"), texts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_and_the_send_repeated() {
    for errcode in [40001, 40014, 42001] {
        let bench = Bench::new();
        assert_eq!(bench.handle("oA", "hi there").await, DONE);
        bench.wechat.errcode(SEND, errcode);
        bench.wechat.expire_token();
        assert_eq!(bench.handle("oA", "hi").await, DONE);
        assert_eq!(bench.wechat.calls(STABLE_TOKEN).len(), 2);
        let tokens: Vec<String> =
            bench.wechat.calls(SEND).iter().map(|send| send.query["access_token"].clone()).collect();
        assert_eq!(tokens, ["T1", "T1", "T2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_while_a_refused_token_is_being_dropped() {
    let bench = Bench::new();
    assert_eq!(bench.handle("oZ", "hi").await, DONE);
    bench.wechat.set_latency(seconds(9));
    bench.wechat.expire_token();
    let others = async {
        // The message's send is under way, and WeChat refuses it at 9 s. Then the message waits for a fetch that began
        // at 8 s.
        tokio::time::sleep(seconds(8)).await;
        bench.handler.sender.tokens.refuse("wx1", &"T1".into()).await;
        bench.handler.sender.tokens.get("wx1").await.unwrap();
    };
    let watching = async {
        for second in 1..18 {
            tokio::time::sleep(seconds(1)).await;
            assert!(bench.store.is_leased(&key("oA", "hi")), "not leased after {second} s");
        }
    };
    let (settled, (), ()) = tokio::join!(bench.handle("oA", "hi"), others, watching);
    assert_eq!(settled, DONE);
}

#[tokio::test(start_paused = true)]
async fn a_media_id_that_wechat_forgot_is_uploaded_again_once() {
    let bench = Bench::new();
    bench.wechat.errcode(SEND, 40007);
    assert_eq!(bench.handle("oA", "picture").await, DONE);
    let media_ids: Vec<String> = bench.wechat.calls(SEND)[..2]
        .iter()
        .map(|send| send.body["image"]["media_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(media_ids, ["M1", "M2"]);
    assert_eq!(bench.wechat.calls(UPLOAD).len(), 2);

    bench.wechat.errcode(SEND, 40007);
    bench.wechat.errcode(SEND, 40007);
    assert_eq!(reason(&bench.handle("oA", "picture 2").await), DeadReason::Refused);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_meets_a_dead_token_gets_another() {
    let bench = Bench::new();
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    bench.wechat.expire_token();
    assert_eq!(bench.handle("oA", "picture").await, DONE);
    assert_eq!(bench.wechat.calls(STABLE_TOKEN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unlisted_errcode_is_tried_four_times_and_a_malformed_request_twice() {
    for (errcode, sends) in [(12_345, 4), (47_001, 2)] {
        let bench = Bench::new();
        bench.wechat.errcodes(SEND, errcode, 10);
        assert_eq!(reason(&bench.handle("oA", "hi").await), DeadReason::Refused);
        assert_eq!(bench.wechat.calls(SEND).len(), sends);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_reply_is_dead_at_once_with_the_errcode_and_the_rid() {
    let bench = Bench::new();
    bench.wechat.errcode(SEND, 40003);
    let settled = bench.handle("oA", "hi").await;
    assert_eq!(reason(&settled), DeadReason::Refused);
    let shown = format!("{settled:?}");
    assert!(shown.contains("40003") && shown.contains("1-2-3"), "{shown}");
    assert!(!shown.contains("oA") && !shown.contains("T1"), "{shown}");
    assert_eq!(bench.wechat.calls(SEND).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_is_gone_waits_in_the_queue_for_the_operator() {
    let bench = Bench::new();
    std::fs::remove_file(bench.folder.path().join("picture.png")).unwrap();
    assert_eq!(retry_after(&bench.handle("oA", "picture").await), seconds(5));
    assert!(bench.wechat.calls(SEND).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_is_back_in_a_moment_is_waited_for_in_the_lane() {
    let bench = Bench::new();
    let picture = bench.folder.path().join("picture.png");
    std::fs::remove_file(&picture).unwrap();
    let (settled, ()) =
        tokio::join!(bench.handle("oA", "picture"), after(seconds(5), || std::fs::write(&picture, PNG).unwrap()));
    assert_eq!(settled, DONE);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_sends_that_meet_a_dead_token_fetch_one_over_two_workers() {
    let bench = Bench::new();
    let other = bench.another_worker();
    assert_eq!(bench.handle("oZ", "hi").await, DONE);
    bench.wechat.set_latency(Duration::from_millis(50));
    bench.wechat.expire_token();
    let all = (0..100).map(|n| {
        let handler = if n % 2 == 0 { &bench.handler } else { &other };
        handle(handler, Ok(envelope("wx1", &format!("oU{n}"), "hi")), 0)
    });
    let settled = futures_util::future::join_all(all).await;
    assert!(settled.iter().all(|settled| *settled == DONE));
    assert_eq!(bench.wechat.calls(STABLE_TOKEN).len(), 2);
    assert_eq!(bench.wechat.calls(SEND).len(), 1 + 200);
}
