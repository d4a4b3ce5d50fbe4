//! Servers that do not answer as they should.

use futures_util::future::join_all;

use super::*;

const HTML: &str = "<html><body>please log in</body></html>";

/// A question, what the requests for it get, how many those are, and what the user hears.
type Case = (&'static str, Vec<Answer>, usize, (String, bool));

fn cases() -> Vec<Case> {
    let empty = |body: &str| Answer::Status(200, "content-type: application/json", body.to_owned());
    let busy = |seconds: &'static str| Answer::Status(429, seconds, "{}".to_owned());
    vec![
        ("one that fails", vec![status(500), status(503), status(502)], 3, by_fallback()),
        ("one that fails once", vec![status(500)], 2, by_assistant("re: one that fails once")),
        ("one that breaks off", vec![Answer::Cut, Answer::Cut, Answer::Cut], 3, by_fallback()),
        ("one that breaks off once", vec![Answer::Cut], 2, by_assistant("re: one that breaks off once")),
        ("HTML", vec![empty(HTML)], 1, by_fallback()),
        ("no choices", vec![empty(r#"{"choices":[]}"#)], 1, by_fallback()),
        ("no body", vec![empty("")], 1, by_fallback()),
        ("a redirect", vec![Answer::Status(307, "location: /v1/chat/completions", String::new())], 1, by_fallback()),
        ("a refused key", vec![status(401)], 1, by_fallback()),
        ("a bad request", vec![status(400)], 1, by_fallback()),
        ("busy for a second", vec![busy("retry-after: 1")], 2, by_assistant("re: busy for a second")),
        ("busy for an hour", vec![busy("retry-after: 3600")], 1, by_fallback()),
        ("a filter", vec![Answer::Message(json!({ "content": "half of" }), "content_filter")], 1, by_fallback()),
        ("a refusal", vec![Answer::Message(json!({ "content": null, "refusal": "no" }), "stop")], 1, by_fallback()),
        (
            "a tool",
            vec![Answer::Message(json!({ "content": null, "tool_calls": [{}] }), "tool_calls")],
            1,
            by_fallback(),
        ),
        ("an empty text", vec![Answer::Says(" \n".into())], 1, by_fallback()),
        ("a cut text", vec![Answer::Message(json!({ "content": "half of" }), "length")], 1, by_assistant("half of…")),
        ("a thought", vec![Answer::Says("<think>hm</think>\nyes".into())], 1, by_assistant("yes")),
    ]
}

#[tokio::test]
async fn whatever_the_server_does_the_user_hears_something_and_once() {
    let (shop, stand_in) = start(Backend::Embedded, "timeout_ms = 120_000").await;
    let cases = cases();
    for (question, answers, ..) in &cases {
        stand_in.script(question, answers.clone());
    }
    join_all(cases.iter().enumerate().map(async |(n, (question, _, requests, expected))| {
        let user = format!("oUSER{n}");
        say(&shop, &user, question).await;
        say(&shop, &user, "by rule").await;
        assert_eq!(heard(&shop, &user, 2).await, [expected.clone(), by_rule()], "{question}");
        assert_eq!(stand_in.asked_for(question).len(), *requests, "{question}");
    }))
    .await;
    let program = &shop.stack.programs[0];
    for (outcome, count) in [("failed", 8), ("throttled", 2), ("withheld", 2), ("unusable", 3)] {
        program.counts(&format!("kefu_worker_assistant_requests_total{{outcome=\"{outcome}\"}}"), count).await;
    }
    let fallbacks = cases.iter().filter(|(.., expected)| *expected == by_fallback()).count();
    let fallbacks = u32::try_from(fallbacks).unwrap();
    program.counts(r#"kefu_worker_assistant_answers_total{by="fallback"}"#, fallbacks).await;
}

#[tokio::test]
async fn what_the_operator_must_mend_is_said_once_and_that_it_is_mended() {
    let (shop, stand_in) = start(Backend::Embedded, "").await;
    let program = &shop.stack.programs[0];
    let body = r#"{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}"#;
    stand_in.script("hello?", vec![Answer::Status(401, "content-type: application/json", body.to_owned()); 5]);
    for n in 0..5 {
        let user = format!("oUSER{n}");
        say(&shop, &user, "hello?").await;
        assert_eq!(heard(&shop, &user, 1).await, [by_fallback()]);
    }
    let words = "the server refuses the key: see key or key_file; it answered 401 (invalid_api_key)";
    program.says("/readyz", 200, &["\"worker_assistant\":\"degraded: no answers since", words]).await;
    assert_eq!(program.output().matches(words).count(), 1, "{}", program.output());
    say(&shop, "oUSER0", "hello?").await;
    assert_eq!(heard(&shop, "oUSER0", 2).await[1], by_assistant("re: hello?"));
    program.says("/readyz", 200, &["\"worker_assistant\":\"up\""]).await;
    assert!(program.output().contains("the assistant answers again"), "{}", program.output());
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_no_longer_than_configured() {
    let (shop, stand_in) = start(Backend::Embedded, "timeout_ms = 2000").await;
    stand_in.script("hello?", [Answer::Hang]);
    let begun = std::time::Instant::now();
    say(&shop, "oUSER", "hello?").await;
    assert_eq!(heard(&shop, "oUSER", 1).await, [by_fallback()]);
    // Not configured it would be 30 s.
    let waited = begun.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(20)).contains(&waited), "{waited:?}");
    shop.stack.programs[0].counts(r#"kefu_worker_assistant_requests_total{outcome="timeout"}"#, 1).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_answered_for() {
    let stand_in = Assistant::start().await;
    let options = options(Backend::Embedded, &stand_in, "");
    drop(stand_in);
    let shop = Shop::start(options).await;
    say(&shop, "oUSER", "hello?").await;
    assert_eq!(heard(&shop, "oUSER", 1).await, [by_fallback()]);
    let words = ["\"worker_assistant\":\"degraded: ", "the server cannot be reached"];
    shop.stack.programs[0].says("/readyz", 200, &words).await;
}

#[tokio::test]
async fn without_a_fallback_the_answer_comes_later() {
    let stand_in = Assistant::start().await;
    let mut options = options(Backend::Embedded, &stand_in, "");
    let section = &mut options.settings.last_mut().unwrap().1;
    *section = section.replace(FALLBACK, "");
    let shop = Shop::start(options).await;
    stand_in.script("hello?", [status(401)]);
    say(&shop, "oUSER", "hello?").await;
    // The first wait in the queue is 5 s.
    assert_eq!(heard(&shop, "oUSER", 1).await, [by_assistant("re: hello?")]);
    assert_eq!(stand_in.asked().len(), 2);
}

#[tokio::test]
async fn thoughts_are_neither_said_nor_remembered() {
    let (shop, stand_in) = start(Backend::Embedded, "").await;
    let about_tags = "什么是 </think> 标签？";
    let says = |text: &str| Answer::Says(text.to_owned());
    let cut = Answer::Message(json!({ "content": "<think>想</think><think> 北京" }), "length");
    let cases = [
        ("twice", says("<think>想</think><think>再想</think>北京"), by_assistant("北京")),
        ("later", says("<think>想</think>北京<Thinking>再想</Thinking>，中国"), by_assistant("北京，中国")),
        ("within a sentence", says("Sure, <think> 想 </think>no."), by_assistant("Sure, no.")),
        ("opened within a thought", says("<think>一 <think> 二</think> 三"), by_fallback()),
        ("nested", says("<think>一<think>二</think>三</think>北京"), by_assistant("北京")),
        ("by the prompt", says("想\n</think>\n\n北京"), by_assistant("北京")),
        ("about tags", says(about_tags), by_assistant(about_tags)),
        ("cut", cut, by_fallback()),
        ("without an end", says("<thinking>想"), by_fallback()),
    ];
    for (question, answer, expected) in cases {
        stand_in.script(question, [answer]);
        let user = question.replace(' ', "-");
        say(&shop, &user, question).await;
        assert_eq!(heard(&shop, &user, 1).await, [expected], "{question}");
    }
    say(&shop, "later", "and then?").await;
    heard(&shop, "later", 2).await;
    let request = stand_in.asked_for("and then?").remove(0);
    assert_eq!(request.messages()[1..], [("user", "later"), ("assistant", "北京，中国"), ("user", "and then?")]);
}

#[tokio::test]
async fn a_fault_in_a_character_costs_no_answer_and_the_address_is_not_suspected() {
    let (shop, stand_in) = start(Backend::Embedded, "").await;
    let whole = |text: &str| format!(r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#);
    let json = |body: String| Answer::Status(200, "content-type: application/json", body);
    let cases = [
        ("half a pair", json(whole(r"北京\ud83d")), by_assistant("北京")),
        ("a mark", json(format!("\u{feff}{}", whole("北京"))), by_assistant("北京")),
        ("a control character", json(whole("北\u{2}京")), by_assistant("北京")),
        ("an escaped one", json(whole(r"\u0008北\u001b京\u007f\r\n好")), by_assistant("北京\n好")),
        ("half of it", json(whole("北京").split_at(20).0.to_owned()), by_fallback()),
    ];
    for (question, answer, expected) in cases {
        stand_in.script(question, [answer]);
        let user = question.replace(' ', "-");
        say(&shop, &user, question).await;
        assert_eq!(heard(&shop, &user, 1).await, [expected], "{question}");
    }
    stand_in.script("thoughts", [Answer::Says("<think>hm</think> \n".to_owned())]);
    say(&shop, "thinker", "thoughts").await;
    assert_eq!(heard(&shop, "thinker", 1).await, [by_fallback()]);
    assert!(shop.stack.programs[0].output().contains("the model's answer is nothing but thoughts"));
    let output = shop.stack.programs[0].output();
    assert!(output.contains("the server's answer is no JSON, or is cut") && !output.contains("base_url"), "{output}");
}

#[tokio::test]
async fn an_answer_is_cut_where_a_character_ends() {
    let (shop, stand_in) = start(Backend::Embedded, "max_reply_bytes = 100").await;
    stand_in.script("flags", [Answer::Says("ab".to_owned() + &"🇨🇳".repeat(30))]);
    say(&shop, "oUSER", "flags").await;
    assert_eq!(heard(&shop, "oUSER", 1).await, [by_assistant(&format!("ab{}…", "🇨🇳".repeat(11)))]);
}
