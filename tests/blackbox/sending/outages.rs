//! Sending while something that kefu stands on is away, or ingress dies.

use kefu_harness::rabbitmq::RabbitMq;
use kefu_harness::redis::RedisServer;
use kefu_harness::shop::{PICTURE, simulated};
use kefu_harness::stack::{Servers, Stack, StackOptions};
use kefu_harness::wechat::{Account, Mode};
use kefu_messages::message_key::MessageKey;
use kefu_simulator::{Filter, Simulator, SimulatorConfig};

use super::*;

/// ingress answers within 4.5 s, and not only when what is away is back; the rest is for the machine.
const IN_TIME: Duration = Duration::from_secs(30);

#[tokio::test]
async fn with_redis_away_nothing_is_accepted_and_the_same_request_is_sent_once_it_is_back() {
    let (mut shop, caller) = start(Backend::Production).await;
    writes(&shop, "oUSER").await;
    let known = caller.accepted(shop.appid(), "k0", &text("oUSER", "before")).await;
    caller.becomes(&known, "sent").await;
    shop.stack.redis().kill();
    let answer = caller.send(shop.appid(), "k1", &text("oUSER", "meanwhile")).await;
    assert_eq!((answer.status, &answer.body["type"]), (503, &json!("urn:kefu:problem:unavailable")), "{answer:?}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
    assert!(answer.took > Duration::from_secs(4) && answer.took < IN_TIME, "{answer:?}");
    assert_eq!(caller.state(&known).await.status, 503);
    shop.stack.redis().restart().await;
    let id = caller.accepted(shop.appid(), "k1", &text("oUSER", "meanwhile")).await;
    caller.becomes(&id, "sent").await;
    assert_eq!(texts(&shop.replies("oUSER")), ["before", "meanwhile"]);
}

#[tokio::test]
async fn with_redis_away_a_repetition_whose_picture_is_gone_is_to_be_repeated_and_then_accepted() {
    let (mut shop, caller) = start(Backend::Production).await;
    let (appid, body) = (shop.appid().to_owned(), picture("oUSER"));
    let id = caller.accepted(&appid, "k", &body).await;
    std::fs::remove_file(shop.stack.config().with_file_name("code.png")).unwrap();
    shop.stack.redis().kill();
    for body in [&body, &text("oUSER", "")] {
        let answer = caller.send(&appid, "k", body).await;
        assert!(answer.status == 503 && answer.took < IN_TIME, "whether it was accepted cannot be told: {answer:?}");
    }
    shop.stack.redis().restart().await;
    assert_eq!(caller.accepted(&appid, "k", &body).await, id);
}

/// A kefu on a RabbitMQ of its own, which may be stopped.
struct OnItsOwn {
    stack: Stack,
    broker: RabbitMq,
    simulator: Simulator,
    account: Account,
}

impl OnItsOwn {
    async fn start(ingress: &[&str]) -> Self {
        let account = Account::random(Mode::Safe);
        let simulator = Simulator::start(SimulatorConfig::new(vec![simulated(&account)])).await.unwrap();
        let (redis, broker) = tokio::join!(RedisServer::start(), RabbitMq::start_own());
        let vhost = broker.fresh_vhost().await;
        let mut options = StackOptions::new(Backend::Production, vec![account.clone()], simulator.url());
        options.settings.push(("queue", "partitions = 4".to_owned()));
        options.settings.push(("api", format!("key = \"{KEY}\"")));
        options.settings.extend(ingress.iter().map(|line| ("ingress", (*line).to_owned())));
        let stack = Stack::start_on(Servers::Production { redis, vhost }, options).await;
        simulator.set_callback(&account.appid, &stack.callback(&account)).unwrap();
        broker.write_queue_names_down().await;
        let kefu = Self { stack, broker, simulator, account };
        let push = kefu_simulator::PushRequest::new(&kefu.account.appid, "oUSER", Message::text("hello"));
        assert!(kefu.simulator.push(push).await.unwrap().answered);
        kefu
    }

    fn caller(&self) -> Caller {
        Caller::of(&self.stack.programs[0])
    }

    fn sends(&self) -> usize {
        self.simulator.journal(&Filter { path: Some(SEND.to_owned()), ..Filter::default() }).len()
    }
}

#[tokio::test]
async fn with_rabbitmq_away_a_message_is_spooled_and_sent_once_it_is_back() {
    let mut kefu = OnItsOwn::start(&["spool = \"spool\""]).await;
    let caller = kefu.caller();
    kefu.broker.kill();
    let answer = caller.send(&kefu.account.appid, "k", &text("oUSER", "spooled")).await;
    assert!(answer.status == 202 && answer.took < IN_TIME, "{answer:?}");
    assert_eq!(caller.state(answer.id()).await.body["status"], "queued");
    let again = caller.send(&kefu.account.appid, "k", &text("oUSER", "spooled")).await;
    assert_eq!((again.status, again.id()), (202, answer.id()));
    kefu.broker.restart().await;
    caller.becomes(answer.id(), "sent").await;
    assert_eq!(kefu.sends(), 1);
}

#[tokio::test]
async fn with_redis_away_after_the_message_was_published_it_is_not_accepted_and_its_repetition_is_not_sent_twice() {
    let mut kefu = OnItsOwn::start(&[]).await;
    let (caller, body) = (kefu.caller(), text("oUSER", "once"));
    kefu.broker.stop_signal();
    let request = {
        let request = caller.request(&kefu.account.appid, "k").json(&body);
        tokio::spawn(answer(request))
    };
    // It is publishing: it is noted and claimed.
    kefu.stack.programs[0].counts(r#"kefu_ingress_claims_total{outcome="won"}"#, 2).await;
    kefu.stack.redis().kill();
    kefu.broker.cont_signal();
    let answer = request.await.unwrap();
    assert_eq!((answer.status, &answer.body["type"]), (503, &json!("urn:kefu:problem:unavailable")), "{answer:?}");
    kefu.stack.redis().restart().await;
    let other = caller.send(&kefu.account.appid, "k", &text("oUSER", "another")).await;
    assert_eq!(other.status, 422, "the key is still that of the first: {other:?}");
    let id = caller.accepted(&kefu.account.appid, "k", &body).await;
    let known = caller.state(&id).await;
    assert_eq!(known.status, 200, "it is accepted, and nothing is known of it: {known:?}");
    caller.becomes(&id, "sent").await;
    let after = caller.accepted(&kefu.account.appid, "after", &text("oUSER", "after")).await;
    caller.becomes(&after, "sent").await;
    assert_eq!(kefu.sends(), 2, "the message, and what came after any copy of it");
}

#[tokio::test]
async fn a_request_whose_ingress_is_killed_before_the_message_is_stored_is_sent_by_its_repetition() {
    let mut kefu = OnItsOwn::start(&[]).await;
    let caller = kefu.caller();
    kefu.broker.kill();
    let body = text("oUSER", "once");
    let refused = caller.send(&kefu.account.appid, "k", &body).await;
    assert!(refused.status == 503 && refused.took < IN_TIME, "{refused:?}");
    let request = tokio::spawn(caller.request(&kefu.account.appid, "k").json(&body).send());
    // It is publishing: the claim is taken.
    kefu.stack.programs[0].counts(r#"kefu_ingress_claims_total{outcome="won"}"#, 3).await;
    kefu.stack.programs[0].kill();
    assert!(request.await.unwrap().is_err(), "ingress is dead");
    kefu.broker.restart().await;
    kefu.stack.crash_and_restart_ingress().await;

    let caller = kefu.caller();
    let id = MessageKey::of_send(&kefu.account.appid, "k").id();
    assert_eq!(caller.state(&id).await.status, 404, "it was opened, and never published");
    assert_eq!(caller.accepted(&kefu.account.appid, "k", &body).await, id);
    caller.becomes(&id, "sent").await;
    assert_eq!(caller.send(&kefu.account.appid, "k", &text("oUSER", "other")).await.status, 422);
    assert_eq!(kefu.sends(), 1);
}

#[tokio::test]
async fn a_message_that_was_not_stored_at_first_is_by_its_repetition_though_its_picture_is_gone() {
    let mut kefu = OnItsOwn::start(&[]).await;
    let (caller, body) = (kefu.caller(), picture("oUSER"));
    let file = kefu.stack.config().with_file_name("code.png");
    std::fs::write(&file, PICTURE).unwrap();
    kefu.broker.kill();
    let refused = caller.send(&kefu.account.appid, "k", &body).await;
    assert!(refused.status == 503 && refused.took < IN_TIME, "{refused:?}");
    std::fs::remove_file(&file).unwrap();
    kefu.broker.restart().await;
    let id = caller.accepted(&kefu.account.appid, "k", &body).await;
    assert_eq!(id, MessageKey::of_send(&kefu.account.appid, "k").id());
    assert_eq!(caller.send(&kefu.account.appid, "k", &text("oUSER", "other")).await.status, 422);
}

#[tokio::test]
async fn kill_after_kill_each_accepted_message_is_sent_once() {
    for backend in Backend::ALL {
        let (mut shop, mut caller) = start(backend).await;
        writes(&shop, "oFIRST").await;
        let took = caller.send(shop.appid(), "first", &text("oFIRST", "first")).await.took;
        let users: Vec<String> = (0..6).map(|n| format!("oUSER{n}")).collect();
        for user in &users {
            writes(&shop, user).await;
        }
        for (number, user) in users.iter().enumerate() {
            let (key, body) = (format!("k{number}"), text(user, "once"));
            let request = tokio::spawn(caller.request(shop.appid(), &key).json(&body).send());
            // Each time at another moment between its first byte and its answer.
            tokio::time::sleep(took * number as u32 / users.len() as u32).await;
            shop.stack.crash_and_restart_ingress().await;
            drop(request.await.unwrap());
            caller = Caller::of(&shop.stack.programs[0]);
            let id = caller.accepted(shop.appid(), &key, &body).await;
            caller.becomes(&id, "sent").await;
            let replies = shop.replies(user);
            let replies = texts(&replies);
            // One process has the worker, too: killed in the middle of a send, it cannot know, and says so.
            let doubts = shop.stack.programs[0].output().matches("a reply may or may not have been sent").count();
            assert!(!replies.is_empty() && replies.len() <= 1 + doubts, "{user}, {backend:?}: {replies:?}");
            assert!(replies.iter().all(|reply| *reply == "once"), "{replies:?}");
        }
    }
}
