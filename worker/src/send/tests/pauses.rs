use super::*;
use crate::testing::{postponed_for, received};

#[tokio::test(start_paused = true)]
async fn a_token_that_stays_refused_pauses_the_account_for_longer_each_time() {
    let bench = Bench::new();
    let refuse = |times| bench.wechat.errcodes(SEND, 40001, times);
    for pause in [30, 60, 120, 300, 300] {
        refuse(3);
        let settled = bench.handle("oA", "hi").await;
        assert_eq!(postponed_for(&settled), seconds(pause));
        assert!(format!("{settled:?}").contains("AppSecret"), "the operator is told what to look at: {settled:?}");
        assert!(bench.handler.sender.pauses.in_words().is_some_and(|words| words.contains("40001")));
        tokio::time::advance(seconds(pause)).await;
    }
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    refuse(3);
    assert_eq!(postponed_for(&bench.handle("oA", "hi there").await), seconds(30));
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_that_is_refused_for_a_moment_only_is_waited_for_in_the_lane() {
    let bench = Bench::new();
    bench.wechat.errcodes(SEND, 40001, 2);
    assert_eq!(bench.handle("oA", "hi").await, DONE);
    assert_eq!(bench.wechat.calls(STABLE_TOKEN).len(), 2);
    assert_eq!(bench.handler.sender.pauses.in_words(), None);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_stays_refused_is_fetched_a_few_times_a_minute_however_many_want_to_send() {
    let bench = Bench::new();
    bench.wechat.set_latency(Duration::from_millis(50));
    bench.wechat.errcodes(SEND, 40001, 100_000);
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed() < seconds(600) {
        round += 1;
        let users: Vec<String> = (0..20).map(|n| format!("oU{n}")).collect();
        let text = format!("hi {round}");
        let all = futures_util::future::join_all(users.iter().map(|user| bench.handle(user, &text))).await;
        assert!(all.iter().all(|settled| postponed_for(settled) > Duration::ZERO));
        tokio::time::sleep(seconds(1)).await;
    }
    let fetches: Vec<Instant> = bench.wechat.calls(STABLE_TOKEN).iter().map(|call| call.at).collect();
    assert!(fetches.len() <= 12, "{}", fetches.len());
    for fetch in &fetches {
        let within = fetches.iter().filter(|other| (*fetch..*fetch + seconds(60)).contains(other)).count();
        assert!(within <= 4, "{within} in a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_an_operator_must_mend_pauses_and_no_other_does() {
    let bench = Bench::new();
    bench.wechat.answer(STABLE_TOKEN, 200, r#"{"errcode":40164,"errmsg":"invalid ip 1.2.3.4, not in whitelist"}"#);
    let settled = bench.handle("oA", "hi").await;
    assert_eq!(postponed_for(&settled), seconds(300));
    assert!(format!("{settled:?}").contains("1.2.3.4"), "the operator is told which IP to add: {settled:?}");

    assert!(postponed_for(&bench.handle("oB", "hi").await) <= seconds(300));
    assert_eq!(bench.wechat.calls(STABLE_TOKEN).len(), 1, "a paused account makes no calls");
    assert_eq!(bench.handle_envelope(envelope("wx2", "oC", "hi")).await, DONE);

    tokio::time::advance(seconds(301)).await;
    assert_eq!(bench.handle("oA", "hi").await, DONE);
}

#[tokio::test(start_paused = true)]
async fn a_pause_costs_a_message_no_try_however_long_it_lasts() {
    for errcode in [40125, 40164, 45009, 48004] {
        let bench = Bench::new();
        for attempt in [0, 4, 5, 5, 5] {
            bench.wechat.errcode(STABLE_TOKEN, errcode);
            let refused = bench.handle_attempt("oA", "hi", attempt).await;
            assert!(postponed_for(&refused) >= seconds(300), "{errcode}: {refused:?}");
            let met_the_pause = bench.handle_attempt("oB", "hi", attempt).await;
            assert!(postponed_for(&met_the_pause) >= seconds(300), "{errcode}: {met_the_pause:?}");
            tokio::time::advance(seconds(24 * 3_600)).await;
        }
        assert_eq!(bench.handle_attempt("oA", "hi", 5).await, DONE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_pause_made_too_old_for_a_reply_is_dead() {
    let bench = Bench::new();
    for (days, is_dead) in [(1, false), (3, true)] {
        bench.wechat.errcode(STABLE_TOKEN, 40125);
        let settled = bench.handle_envelope(received(seconds(days * 24 * 3_600), envelope("wx1", "oA", "hi"))).await;
        match is_dead {
            true => assert_eq!(reason(&settled), DeadReason::WindowClosed),
            false => assert_eq!(postponed_for(&settled), seconds(300)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_calls_in_a_minute_slow_the_whole_account_down() {
    let bench = Bench::new();
    bench.wechat.errcode(SEND, 45011);
    let start = Instant::now();
    let (first, second) = tokio::join!(bench.handle("oA", "hi"), async {
        tokio::time::sleep(seconds(10)).await;
        bench.handle("oB", "hi").await
    });
    assert_eq!((first, second), (DONE, DONE));
    let sends = bench.wechat.calls(SEND);
    assert_eq!(sends.len(), 3);
    assert!(sends[1..].iter().all(|send| (seconds(60)..=seconds(76)).contains(&(send.at - start))));
}
