//! A request again whose body could not be sent any more: it was accepted, and is.

use futures_util::future::join_all;
use kefu_harness::shop::PICTURE;

use super::*;

fn refused(answer: &Answer, word: &str) {
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(answer.body["type"], format!("urn:kefu:problem:{word}"), "{answer:?}");
}

#[tokio::test]
async fn a_repetition_is_accepted_though_its_picture_is_gone() {
    for backend in Backend::ALL {
        let (shop, caller) = start(backend).await;
        let (appid, body, file) = (shop.appid(), picture("oUSER"), shop.stack.config().with_file_name("code.png"));
        writes(&shop, "oUSER").await;
        let id = caller.accepted(appid, "k", &body).await;
        caller.becomes(&id, "sent").await;
        std::fs::remove_file(&file).unwrap();

        let again = caller.send(appid, "k", &body).await;
        assert_eq!(
            (again.status, again.id(), &again.body["status"]),
            (202, id.as_str(), &json!("sent")),
            "{backend:?}"
        );
        assert_eq!(again.header("location"), format!("/v1/messages/{id}"));
        // Another message under its key is told so, also one that could not be sent in any case.
        refused(&caller.send(appid, "k", &text("oUSER", "other")).await, "idempotency-key-reused");
        refused(&caller.send(appid, "k", &picture("oOTHER")).await, "idempotency-key-reused");
        refused(&caller.send(appid, "k", &text("oUSER", " ")).await, "idempotency-key-reused");
        // Another key is another message, which is judged; and a key whose request was refused is not remembered.
        refused(&caller.send(appid, "k2", &body).await, "unsendable-message");
        refused(&caller.send(appid, "k2", &text("oUSER", "")).await, "unsendable-message");
        std::fs::write(&file, PICTURE).unwrap();
        let id = caller.accepted(appid, "k2", &body).await;
        caller.becomes(&id, "sent").await;
        assert_eq!(shop.replies("oUSER").len(), 2);
    }
}

#[tokio::test]
async fn a_repetition_is_accepted_though_the_configuration_would_refuse_it_now() {
    for backend in Backend::ALL {
        let (mut shop, caller) = start(backend).await;
        let (appid, body) =
            (shop.appid().to_owned(), json!({ "to": "oUSER", "replies": [{ "text": "a" }, { "text": "b" }] }));
        let id = caller.accepted(&appid, "k", &body).await;
        caller.becomes(&id, "dead").await;
        let file = shop.stack.config().clone();
        let config = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{config}\n[window]\nmessage_replies = 1\n")).unwrap();
        shop.stack.crash_and_restart_ingress().await;

        let caller = Caller::of(&shop.stack.programs[0]);
        refused(&caller.send(&appid, "k2", &body).await, "unsendable-message");
        let again = caller.send(&appid, "k", &body).await;
        assert_eq!(
            (again.status, again.id(), &again.body["status"]),
            (202, id.as_str(), &json!("dead")),
            "{backend:?}"
        );
    }
}

#[tokio::test]
async fn a_repetition_needs_the_key_of_the_api_and_a_head_and_a_shape_as_ever() {
    let (shop, caller) = start(Backend::Embedded).await;
    let (appid, body) = (shop.appid(), picture("oUSER"));
    caller.accepted(appid, "k", &body).await;
    std::fs::remove_file(shop.stack.config().with_file_name("code.png")).unwrap();
    let url = format!("{}/v1/accounts/{appid}/messages", caller.url);
    let stranger = caller.client.post(url).bearer_auth("key-of-the-tests-0123456789abcdeF");
    assert_eq!(answer(stranger.header("idempotency-key", "k").json(&body)).await.status, 401);
    assert_eq!(caller.send("wx0000000000000000", "k", &body).await.status, 404);
    let no_json = caller.request(appid, "k").header("content-type", "text/plain").body(body.to_string());
    assert_eq!(answer(no_json).await.status, 415);
    assert_eq!(caller.send(appid, "k", &json!({ "to": "oUSER" })).await.status, 400);
    assert_eq!(caller.send(appid, "k", &body).await.status, 202);
}

#[tokio::test]
async fn after_many_first_requests_at_once_one_more_is_accepted_if_any_was_though_the_picture_went_meanwhile() {
    for backend in Backend::ALL {
        let (shop, caller) = start(backend).await;
        let (appid, file) = (shop.appid(), shop.stack.config().with_file_name("code.png"));
        let took = caller.send(appid, "first", &picture("oFIRST")).await.took;
        for round in 0..20 {
            std::fs::write(&file, PICTURE).unwrap();
            let (key, body) = (format!("k{round}"), picture(&format!("oUSER{round}")));
            let goes = async {
                // Each time at another moment between the first byte and the answer.
                tokio::time::sleep(took * round / 20).await;
                std::fs::remove_file(&file).unwrap();
            };
            let (answers, ()) = tokio::join!(join_all((0..8).map(|_| caller.send(appid, &key, &body))), goes);
            // Some of them may be refused though others are accepted: they looked before anybody had opened the message.
            let accepted = answers.iter().any(|answer| answer.status == 202);
            let again = caller.send(appid, &key, &body).await;
            assert_eq!(again.status, if accepted { 202 } else { 422 }, "{answers:?}, then {again:?}");
            assert!(answers.iter().all(|answer| [202, 422].contains(&answer.status)), "{answers:?}");
        }
    }
}
