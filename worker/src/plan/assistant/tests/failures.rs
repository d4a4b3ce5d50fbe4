//! Servers that do not answer, or whose answer is no completion.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_tried_again_and_the_user_sees_nothing_of_it() {
    let bench = bench("");
    bench.completions.answer(AT_ONCE, 500, "");
    bench.completions.fail(Failure::new(Kind::Unreachable, "gone"));
    assert_eq!(bench.handle("oA", "one").await, DONE);
    assert_eq!(sent(&bench, "oA"), [("re: one".to_owned(), true)]);
    assert_eq!(bench.completions.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_fallback_comes_when_the_tries_are_used_up_and_is_not_remembered() {
    let bench = bench("");
    for _ in 0..3 {
        bench.completions.answer(AT_ONCE, 502, "<html>");
    }
    assert_eq!(bench.handle("oA", "one").await, DONE);
    assert_eq!(bench.completions.requests().len(), 3);
    assert_eq!(sent(&bench, "oA"), [(FALLBACK.to_owned(), false)]);
    bench.handle("oA", "two").await;
    assert_eq!(messages(&bench.completions.requests()[3]), pairs(&[("system", "be kind"), ("user", "two")]));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_asked_once() {
    for (status, body) in [(401, "{}"), (404, ""), (200, "<html>"), (200, r#"{"choices":[]}"#), (302, "")] {
        let bench = bench("");
        bench.completions.answer(AT_ONCE, status, body);
        assert_eq!(bench.handle("oA", "one").await, DONE);
        assert_eq!(bench.completions.requests().len(), 1, "{status} {body}");
        assert_eq!(sent(&bench, "oA"), [(FALLBACK.to_owned(), false)]);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_timeout_whatever_the_server_does() {
    let bench = bench("timeout_ms = 8000");
    let slow = |after: u64| bench.completions.answer(seconds(after), 500, "");
    let start = Instant::now();
    slow(3_600);
    bench.handle("oA", "one").await;
    assert_eq!(start.elapsed(), seconds(8), "one that hangs");
    assert_eq!(sent(&bench, "oA"), [(FALLBACK.to_owned(), false)]);

    let start = Instant::now();
    slow(5);
    slow(5);
    bench.handle("oB", "two").await;
    assert_eq!(start.elapsed(), seconds(8), "one that fails slowly, twice");

    let start = Instant::now();
    bench.completions.throttle(Some(seconds(60)));
    bench.handle("oC", "good day").await;
    assert!(start.elapsed() < seconds(1), "one that wants to be left alone for longer: {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_a_pause_gets_it() {
    let bench = bench("");
    bench.completions.throttle(Some(seconds(7)));
    let start = Instant::now();
    bench.handle("oA", "one").await;
    assert_eq!(start.elapsed(), seconds(7));
    assert_eq!(sent(&bench, "oA"), [("re: one".to_owned(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_grew_too_long_is_left_out() {
    let bench = bench("");
    bench.handle("oA", "one").await;
    bench.completions.answer(AT_ONCE, 400, r#"{"error":{"code":"context_length_exceeded"}}"#);
    bench.handle("oA", "two").await;
    assert_eq!(sent(&bench, "oA")[1], ("re: two".to_owned(), true));
    let requests = bench.completions.requests();
    assert_eq!((messages(&requests[1]).len(), messages(&requests[2]).len()), (4, 2));
    // The conversation is empty, so the worker can leave nothing out.
    bench.completions.answer(AT_ONCE, 400, "");
    bench.handle("oB", "good day").await;
    assert_eq!(sent(&bench, "oB"), [(FALLBACK.to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_fallback_the_message_comes_again_later() {
    let quiet = Bench::with(
        "[assistant]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\nfallback = \"\"\n\
         [[rule]]\nwhen = { type = \"text\" }\nassistant = true\n",
    );
    quiet.completions.answer(AT_ONCE, 401, "");
    let settled = quiet.handle("oA", "one").await;
    assert!(matches!(&settled, Settled::As(Settlement::Retry { .. })), "{settled:?}");
    assert!(sent(&quiet, "oA").is_empty());
    assert_eq!(quiet.handle_attempt("oA", "one", 1).await, DONE);
    assert_eq!(sent(&quiet, "oA"), [("re: one".to_owned(), true)]);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_until_there_is_an_answer_again() {
    let bench = bench("");
    let standing = || bench.handler.planner.assistant.assistant.as_ref().unwrap().trouble_in_words();
    assert_eq!(standing(), None);
    bench.completions.answer(AT_ONCE, 401, r#"{"error":{"code":"invalid_api_key"}}"#);
    bench.handle("oA", "one").await;
    let words = standing().unwrap();
    assert!(words.contains("refuses the key") && words.contains("401 (invalid_api_key)"), "{words}");
    bench.handle("oA", "two").await;
    assert_eq!(standing(), None);
    let refusal = json!({ "choices": [{ "message": { "content": null, "refusal": "no" } }] }).to_string();
    bench.completions.answer(AT_ONCE, 200, refusal);
    bench.handle("oA", "bad words").await;
    assert_eq!(standing(), None, "one text was refused, the assistant is well");
    assert_eq!(sent(&bench, "oA").pop().unwrap(), (FALLBACK.to_owned(), false));
}
