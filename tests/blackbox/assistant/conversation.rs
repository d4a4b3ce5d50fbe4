//! Questions and answers.

use super::*;

async fn three_turns_are_one_conversation(backend: Backend) {
    let (mut shop, stand_in) = start(backend, "max_tokens = 200").await;
    stand_in.script("and red ones?", [Answer::Says("Red ones too, 您好 <b>&</b>.".into())]);
    say(&shop, "oASKS", "do you have tulips?").await;
    assert_eq!(heard(&shop, "oASKS", 1).await, [by_assistant("re: do you have tulips?")]);
    say(&shop, "oASKS", "and red ones?").await;
    heard(&shop, "oASKS", 2).await;
    say(&shop, "oOTHER", "and red ones?").await;
    heard(&shop, "oOTHER", 1).await;

    // What was said outlasts the process.
    match backend {
        Backend::Embedded => shop.crash_and_restart_ingress().await,
        Backend::Production => shop.stack.crash_and_restart(1).await,
    }
    say(&shop, "oASKS", "thanks").await;
    let replies = heard(&shop, "oASKS", 3).await;
    assert_eq!(replies[1..], [by_assistant("Red ones too, 您好 <b>&</b>."), by_assistant("re: thanks")]);

    let asked = stand_in.asked();
    assert_eq!(asked.len(), 4);
    for request in &asked {
        assert_eq!(request.request.line, "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(request.request.header("authorization"), format!("Bearer {KEY}"));
        assert_eq!((&request.body["model"], &request.body["max_tokens"]), (&json!("stand-in"), &json!(200)));
        let whole = request.body.to_string();
        assert!(!whole.contains("oASKS") && !whole.contains(shop.appid()), "the user is named: {whole}");
    }
    let expected = [
        ("system", PROMPT),
        ("user", "do you have tulips?"),
        ("assistant", "re: do you have tulips?"),
        ("user", "and red ones?"),
        ("assistant", "Red ones too, 您好 <b>&</b>."),
        ("user", "thanks"),
    ];
    assert_eq!(asked[3].messages(), expected);
    assert_eq!(asked[2].messages(), [("system", PROMPT), ("user", "and red ones?")], "another user's is another one");
}

on_each_backend!(three_turns_are_one_conversation);

#[tokio::test]
async fn a_push_that_is_sent_again_is_asked_once() {
    let (shop, stand_in) = start(Backend::Embedded, "").await;
    let message = Message::text("once?");
    let request = kefu_simulator::PushRequest::new(shop.appid(), "oAGAIN", message);
    let request = kefu_simulator::PushRequest { times: 4, at_once: true, ..request };
    assert!(shop.send(request).await.answered);
    say(&shop, "oAGAIN", "by rule").await;
    assert_eq!(heard(&shop, "oAGAIN", 2).await, [by_assistant("re: once?"), by_rule()]);
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn without_history_nothing_is_stored_and_after_its_time_nothing_is_known() {
    let second = Duration::from_millis(1_100);
    for (more, wait, known) in [
        ("history_messages = 0", Duration::ZERO, 0),
        // Nothing shows that the time is over but the time.
        ("history_seconds = 1", second, 0),
        ("history_messages = 2", second, 2),
    ] {
        let (shop, stand_in) = start(Backend::Embedded, more).await;
        for (count, text) in ["one", "two"].into_iter().enumerate() {
            say(&shop, "oUSER", text).await;
            heard(&shop, "oUSER", count + 1).await;
        }
        tokio::time::sleep(wait).await;
        say(&shop, "oUSER", "three").await;
        heard(&shop, "oUSER", 3).await;
        let asked = stand_in.asked();
        assert_eq!(asked[2].messages().len(), 2 + known, "{more}");
    }
}

#[tokio::test]
async fn a_long_answer_is_several_texts_in_order() {
    let (shop, stand_in) = start(Backend::Embedded, "max_reply_bytes = 10000").await;
    let long: String = (0..400).map(|n| format!("第{n}行。\n")).collect();
    stand_in.script("tell me all", [Answer::Says(long.clone())]);
    say(&shop, "oREADER", "tell me all").await;
    say(&shop, "oREADER", "by rule").await;
    let patience = std::time::Instant::now();
    let replies = eventually(PATIENCE, "the text after the answer", async || {
        let replies: Vec<_> = shop.replies("oREADER").iter().map(spoken).collect();
        if replies.last() == Some(&by_rule()) { Ok(replies) } else { Err(format!("{} replies", replies.len())) }
    })
    .await;
    let parts = &replies[..replies.len() - 1];
    assert!((3..=5).contains(&parts.len()), "{} parts after {:?}", parts.len(), patience.elapsed());
    assert!(parts.iter().all(|(text, by_ai)| text.len() <= 2_000 && *by_ai));
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let whole: String = parts.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(squeezed(&whole), squeezed(&long));
}

#[tokio::test]
async fn one_users_question_holds_up_that_user_alone() {
    let (shop, stand_in) = start(Backend::Embedded, "").await;
    stand_in.script("hard question", [Answer::Held("at last".into())]);
    say(&shop, "oPATIENT", "hard question").await;
    asked(&stand_in, "hard question", 1).await;
    say(&shop, "oPATIENT", "by rule").await;
    say(&shop, "oPATIENT", "easy question").await;
    for n in 0..5 {
        let user = format!("oQUICK{n}");
        say(&shop, &user, "easy question").await;
        say(&shop, &user, "by rule").await;
        assert_eq!(heard(&shop, &user, 2).await, [by_assistant("re: easy question"), by_rule()]);
    }
    assert!(shop.replies("oPATIENT").is_empty(), "a user's messages stay in order");
    stand_in.release();
    let expected = [by_assistant("at last"), by_rule(), by_assistant("re: easy question")];
    assert_eq!(heard(&shop, "oPATIENT", 3).await, expected);
}

#[tokio::test]
async fn the_user_sees_somebody_typing_while_the_assistant_thinks() {
    let (shop, stand_in) = start(Backend::Embedded, "").await;
    stand_in.script("hard question", [Answer::Held("at last".into())]);
    say(&shop, "oPATIENT", "hard question").await;
    let typing = eventually(PATIENCE, "somebody types", async || match &shop.calls("custom/business/typing")[..] {
        [] => Err("nobody types"),
        [typing, ..] => Ok(typing.clone()),
    })
    .await;
    let kefu_simulator::Event::ApiCall(call) = &typing.event else { panic!("no call: {typing:?}") };
    assert_eq!(call.request, json!({ "touser": "oPATIENT", "command": "Typing" }));
    assert!(shop.replies("oPATIENT").is_empty());
    stand_in.release();
    assert_eq!(heard(&shop, "oPATIENT", 1).await, [by_assistant("at last")]);
}

#[tokio::test]
async fn redis_holds_a_conversation_for_its_time_and_none_without_history() {
    for (more, kept) in [("", true), ("history_messages = 0", false)] {
        let (shop, _stand_in) = start(Backend::Production, more).await;
        say(&shop, "oUSER", "one").await;
        heard(&shop, "oUSER", 1).await;
        let kefu_harness::stack::Servers::Production { redis, .. } = &shop.stack.servers else { unreachable!() };
        let client = ::redis::Client::open(redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let key = format!("kefu:conversation:{{{}|oUSER}}", shop.appid());
        let left: i64 = ::redis::cmd("TTL").arg(&key).query_async(&mut connection).await.unwrap();
        // -2 is Redis's word for a key that is not there.
        assert!(if kept { (86_300..=86_400).contains(&left) } else { left == -2 }, "{more}: {left}");
    }
}
