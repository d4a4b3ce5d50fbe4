//! Copies of a push, and an ingress that ends between the parts of storing one.

use std::time::Duration;

use futures_util::future::join_all;
use kefu_harness::eventually;
use kefu_harness::process::{Launch, Program, Role};
use kefu_harness::proxy::{Proxy, Way};
use kefu_harness::rabbitmq::RabbitMq;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::webhook::{Does, Service};
use kefu_harness::wechat::{Client, Format, Message};

use super::{Ingress, PATIENCE, of_each};

/// How slow Redis is, so that what ingress has not waited for when it answers is not done yet.
const SLOW: Duration = Duration::from_millis(100);

/// An event that a webhook decides about.
const EVENT: &str = "wxa_novel_chapter_permission";

/// An ingress with a rule for each kind of answer.
async fn start(service: &Service) -> Ingress {
    let rules = format!(
        "[[rule]]\nwhen = {{ event = \"{EVENT}\" }}\nwebhook = {{ url = \"{}\", sync = true }}\n\
         [[rule]]\nwhen = {{ type = \"text\", contains = \"human\" }}\ntransfer = true\n",
        service.url("/decide")
    );
    let with_rules = |options: StackOptions| {
        let options = options.with("webhook", "secret = \"0123456789abcdef\"");
        StackOptions { rules, ..options }
    };
    Ingress::start_on(RabbitMq::vhost().await, with_rules).await
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_push_that_is_being_published_wait_and_get_its_answer() {
    const COPIES: usize = 10;
    let service = Service::start(Does::Hang).await;
    service.then([Does::answer(200, "{\"ErrCode\":0}")]);
    let ingress = start(&service).await;
    let messages = [
        (Message::text("oUSER", "hi"), "success"),
        (Message::text("oUSER", "a human"), "transfer_customer_service"),
        (Message::event("oUSER", EVENT), "{\"ErrCode\":0}"),
    ];
    let push = |message: &Message| {
        let (pushes, account, message) = (ingress.pushes.clone(), ingress.account.clone(), message.clone());
        tokio::spawn(async move { pushes.push(&account, Format::Json, &message).await })
    };
    ingress.to_broker.hold(Way::ToServer);
    let first: Vec<_> = messages.iter().map(|(message, _)| push(message)).collect();
    ingress.has_begun(3).await;
    let copies: Vec<_> =
        messages.iter().map(|(message, _)| (0..COPIES).map(|_| push(message)).collect::<Vec<_>>()).collect();
    let answered = || first.iter().chain(copies.iter().flatten()).any(|push| push.is_finished());
    eventually(PATIENCE, "all copies have looked for the claim, more than once", async || {
        assert!(!answered(), "a push was answered before it was stored");
        let looks = ingress.claims("pending").await;
        if looks >= messages.len() * COPIES * 3 { Ok(()) } else { Err(format!("{looks} times")) }
    })
    .await;
    assert!(!answered(), "a push was answered before it was stored");
    ingress.to_broker.release();
    for (((message, says), first), copies) in messages.iter().zip(first).zip(copies) {
        let first = first.await.expect("a push does not panic");
        assert!(first.status == 200 && first.body.contains(says), "{first:?}");
        let after = push(message);
        for copy in join_all(copies.into_iter().chain([after])).await {
            let copy = copy.expect("a push does not panic");
            assert_eq!((copy.status, &copy.body), (200, &first.body), "a copy");
        }
    }
    assert_eq!(service.asked().len(), 1, "a copy does not ask again");
    assert_eq!(ingress.take_all().await.iter().map(|(_, messages)| messages.len()).sum::<usize>(), messages.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_ingress_was_killed_between_publish_and_completion_is_taken_again_and_replied_to_once() {
    let mut shop = Shop::start(ShopOptions::new(Backend::Production)).await;
    let (to_broker, to_redis) =
        (Proxy::to(&shop.stack.vhost().url()).await, Proxy::to(&shop.stack.redis().url()).await);
    let environment = [("KEFU__QUEUE__URL", to_broker.url()), ("KEFU__STORE__URL", to_redis.url())];
    let environment = environment.map(|(name, url)| (name.to_owned(), url.to_owned())).to_vec();
    let launch = Launch { environment, ..shop.stack.launch(0) };
    // The worker goes to the servers themselves.
    starts_again(&mut shop, &launch).await;
    for (user, is_confirmed) in [("oUNCONFIRMED", false), ("oCONFIRMED", true)] {
        // WeChat lets it have replies then.
        assert!(shop.push(user, kefu_simulator::Message::text("hello")).await.answered);
        shop.replies_within(user, 1).await;
        to_broker.hold(Way::ToProgram);
        let (pushes, account, message) =
            (shop.stack.pushes.clone(), shop.accounts[0].clone(), Message::text(user, "the push"));
        let first = tokio::spawn({
            let message = message.clone();
            async move { pushes.try_send(&account.appid, &account.push(Format::Xml, &message)).await }
        });
        shop.replies_within(user, 2).await;
        if is_confirmed {
            to_redis.hold(Way::ToServer);
            to_broker.release();
            let first = first.await.expect("a push does not panic").expect("it is answered");
            assert!(first.is_success(), "{first:?}");
        } else {
            assert!(!first.is_finished(), "answered before it is confirmed");
        }
        shop.stack.programs[0].kill();
        to_broker.cut();
        to_redis.cut();
        starts_again(&mut shop, &launch).await;
        for (case, message) in [("the copy", &message), ("the next", &Message::text(user, "another push"))] {
            let answer = shop.stack.pushes.push(&shop.accounts[0], Format::Xml, message).await;
            assert!(answer.is_success(), "{case}: {answer:?}");
        }
        // The next one's comes after whatever the copy's would be.
        shop.replies_within(user, 3).await;
    }
}

async fn starts_again(shop: &mut Shop, launch: &Launch) {
    shop.stack.programs[0].kill();
    shop.stack.programs[0] = Program::start(launch.clone()).await;
    shop.stack.pushes = Client::new(shop.stack.programs[0].url(Role::Public));
    shop.set_callbacks();
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_pushes_answered_just_before_or_during_a_shutdown_are_known_after_it() {
    const USERS: u32 = 300;
    let mut ingress = Ingress::start().await;
    ingress.to_redis.slow_down(SLOW);
    let crowd = ingress.crowd.clone();
    // Those that come too late for the shutdown are cut off.
    let (report, ()) = tokio::join!(crowd.push_all(of_each(USERS, 1)), async {
        crowd.accepts(USERS as usize / 2).await;
        ingress.restart().await;
    });
    println!("{report}");
    ingress.to_redis.slow_down(Duration::ZERO);
    let again = ingress.crowd.push_all(report.accepted.clone()).await;
    assert!(again.lost.is_empty(), "refused: {again}");
    assert_eq!(ingress.claims("done").await, report.accepted.len(), "copies that are known");
    ingress.stored().await.has_all_of(&report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_the_completions_of_pushes_that_are_answered() {
    const USERS: u32 = 100;
    let mut ingress = Ingress::start().await;
    ingress.to_broker.hold(Way::ToProgram);
    let (report, ()) = tokio::join!(ingress.crowd.push_all(of_each(USERS, 1)), async {
        ingress.has_begun(USERS as usize).await;
        ingress.to_redis.slow_down(SLOW);
        ingress.to_broker.release();
    });
    assert!(report.lost.is_empty(), "refused: {report}");
    ingress.restart().await;
    ingress.to_redis.slow_down(Duration::ZERO);
    ingress.crowd.push_all(report.accepted.clone()).await;
    assert_eq!(ingress.claims("done").await, USERS as usize, "copies that are known");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_of_an_answer_outlives_a_kill_right_after_it() {
    const EVENTS: usize = 40;
    let service = Service::start(Does::Hang).await;
    service.then((0..EVENTS).map(|number| Does::answer(200, format!("{{\"ErrCode\":{number}}}"))));
    let mut ingress = start(&service).await;
    ingress.to_redis.slow_down(SLOW);
    let events: Vec<Message> = (0..EVENTS).map(|user| Message::event(&format!("oUSER{user}"), EVENT)).collect();
    let first = join_all(events.iter().map(|event| ingress.pushes.push(&ingress.account, Format::Json, event))).await;
    ingress.crash().await;
    let again = join_all(events.iter().map(|event| ingress.pushes.push(&ingress.account, Format::Json, event))).await;
    for (first, again) in first.iter().zip(&again) {
        assert!(first.status == 200 && first.body.contains("ErrCode"), "{first:?}");
        assert_eq!((again.status, &again.body), (200, &first.body), "a copy after the kill");
    }
    assert_eq!(service.asked().len(), EVENTS, "a copy does not ask again");
}
