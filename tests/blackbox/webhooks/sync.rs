//! Webhooks that decide what WeChat is answered.

use std::time::Duration;

use futures_util::future::join_all;
use kefu_harness::shop::{Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_harness::webhook::{Does, Service};
use kefu_harness::wechat::{Account, Answer, Format, Message, Mode};

use super::SECRET;

const EVENT: &str = "wxa_novel_chapter_permission";
const ANOTHER_EVENT: &str = "xpay_subscribe_ios_refund_query_notify";

async fn start(backend: Backend, settings: &str) -> (Shop, Service) {
    let service = Service::start(Does::Hang).await;
    let mut options = ShopOptions::new(backend);
    options.accounts = Mode::ALL.map(Account::random).into();
    let url = service.url("/decide");
    options.rules = format!(
        "[[rule]]\nwhen = {{ event = \"{EVENT}\" }}\nwebhook = {{ url = \"{url}\", sync = true }}\n\
         [[rule]]\nwhen = {{}}\nreply = [{{ text = \"hi\" }}]\n"
    );
    options.settings.push(("webhook", format!("secret = \"{SECRET}\"\n{settings}")));
    (Shop::start(options).await, service)
}

async fn push(shop: &Shop, account: &Account, format: Format, message: &Message) -> Answer {
    shop.stack.pushes.push(account, format, message).await
}

/// What WeChat reads.
fn read(answer: &Answer, account: &Account) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    match account.mode {
        Mode::Plain => answer.body.clone(),
        Mode::Compat | Mode::Safe => answer.open(account).unwrap(),
    }
}

#[tokio::test]
async fn a_decision_is_passed_on_in_every_mode_and_format_and_copies_get_the_same() {
    for backend in Backend::ALL {
        let (shop, service) = start(backend, "").await;
        let mut asked = 0;
        for account in &shop.accounts {
            for (format, decision) in [
                (Format::Json, "{\"ErrCode\": 0, \"ChapterPerms\": [{\"ChapterId\": \"第一章\"}]}"),
                (Format::Xml, "<xml><ErrCode>0</ErrCode><ChapterPerms><![CDATA[第一章]]></ChapterPerms></xml>"),
            ] {
                let message = Message::event("oUSER", EVENT).text_field("Book", &format!("{format:?}"));
                service.then([Does::answer(200, decision)]);
                for copy in 1..=2 {
                    let answer = push(&shop, account, format, &message).await;
                    assert_eq!(read(&answer, account), decision, "copy {copy}, {:?}, {format:?}", account.mode);
                }
                asked += 1;
                assert_eq!(service.asked().len(), asked, "a copy is answered without asking");
            }
        }
        let call = &service.asked()[0];
        assert!(call.is_signed_with(SECRET));
        assert_eq!(
            (&call.envelope()["push"]["content"]["event"], &call.envelope()["answered"]),
            (&EVENT.into(), &().into())
        );
        // It is stored, and there is nothing to send.
        let worker = shop.stack.programs.last().unwrap();
        worker.counts(r#"kefu_worker_messages_total{outcome="answered"}"#, u32::try_from(asked).unwrap()).await;
        assert!(shop.calls("custom/send").is_empty());
    }
}

#[tokio::test]
async fn copies_at_the_same_moment_ask_once() {
    let (shop, service) = start(Backend::Production, "").await;
    service.then([Does::answer(200, "{\"ErrCode\":0}")]);
    let (account, message) = (&shop.accounts[2], Message::event("oUSER", EVENT));
    let copies = join_all((0..20).map(|_| push(&shop, account, Format::Json, &message))).await;
    for answer in copies {
        assert_eq!(read(&answer, account), "{\"ErrCode\":0}");
    }
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn without_a_decision_wechat_is_told_to_ask_again_and_nothing_is_stored() {
    let (shop, service) = start(Backend::Embedded, "timeout_ms = 60_000").await;
    let account = &shop.accounts[2];
    let wrong = [
        ("late", Does::Hang),
        ("404", Does::answer(404, "{}")),
        ("204", Does::answer(204, "")),
        ("HTML", Does::answer(200, "<!DOCTYPE html><html></html>")),
        ("the other format", Does::answer(200, "<xml></xml>")),
        ("too long", Does::answer(200, format!("{{\"a\":\"{}\"}}", "x".repeat(70_000)))),
    ];
    for (case, does) in wrong {
        let message = Message::event("oUSER", EVENT).text_field("Case", case);
        service.then([does, Does::answer(200, "{\"ErrCode\":0}")]);
        let answer = push(&shop, account, Format::Json, &message).await;
        assert_eq!(answer.status, 503, "{case}: {answer:?}");
        // It is 3 s for a decision, whatever the webhook's timeout is; the rest is for the machine.
        assert!(answer.duration < Duration::from_secs(30), "{case}: {:?}", answer.duration);
        let again = push(&shop, account, Format::Json, &message).await;
        assert_eq!(read(&again, account), "{\"ErrCode\":0}", "{case}");
    }
    let worker = &shop.stack.programs[0];
    worker.counts(r#"kefu_worker_messages_total{outcome="answered"}"#, 6).await;
    worker.counts(r#"kefu_ingress_webhook_calls_total{outcome="late"}"#, 1).await;
}

#[tokio::test]
async fn a_service_that_comes_back_within_the_time_still_decides() {
    let (shop, service) = start(Backend::Embedded, "").await;
    let account = &shop.accounts[2];
    for (case, does) in [("500", Does::answer(500, "{}")), ("a cut body", Does::Cut(b"{\"ErrCode\":0}".to_vec()))] {
        let message = Message::event("oUSER", EVENT).text_field("Case", case);
        let asked = service.asked().len();
        service.then([does.clone(), does, Does::answer(200, "{\"ErrCode\":0}")]);
        let answer = push(&shop, account, Format::Json, &message).await;
        assert_eq!(read(&answer, account), "{\"ErrCode\":0}", "{case}");
        assert_eq!(service.asked().len(), asked + 3, "{case}");
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_waited_for_before_the_refusal() {
    let (shop, service) = start(Backend::Embedded, "").await;
    service.then(std::iter::repeat_n(Does::answer(502, "{}"), 30));
    let answer = push(&shop, &shop.accounts[2], Format::Json, &Message::event("oUSER", EVENT)).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    // Else WeChat would have spent its re-sends within a second.
    assert!(answer.duration > Duration::from_secs(2), "{:?}", answer.duration);
}

#[tokio::test]
async fn a_service_that_hangs_leaves_the_others_their_turns() {
    let (hangs, decides) =
        (Service::start(Does::Hang).await, Service::start(Does::answer(200, "{\"ErrCode\":0}")).await);
    let mut options = ShopOptions::new(Backend::Embedded);
    let rule = |event: &str, service: &Service| {
        let url = service.url("/decide");
        format!("[[rule]]\nwhen = {{ event = \"{event}\" }}\nwebhook = {{ url = \"{url}\", sync = true }}\n")
    };
    options.rules = rule(EVENT, &hangs) + &rule(ANOTHER_EVENT, &decides);
    options.settings.push(("webhook", format!("secret = \"{SECRET}\"\nconcurrency = 1")));
    let shop = Shop::start(options).await;
    let account = &shop.accounts[0];
    let events = [1, 2, 3].map(|number| Message::event("oUSER", EVENT).text_field("Case", &number.to_string()));
    let hanging = join_all(events.iter().map(|event| push(&shop, account, Format::Json, event)));
    let decided = async {
        hangs.asked_within(1).await;
        let answer = push(&shop, account, Format::Json, &Message::event("oUSER", ANOTHER_EVENT)).await;
        // Not later: when the time of the first is over, that of another may not quite be.
        (answer, hangs.asked().len())
    };
    let (hanging, (decided, asked)) = tokio::join!(hanging, decided);
    assert_eq!(read(&decided, account), "{\"ErrCode\":0}");
    for answer in hanging {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(decided.duration < answer.duration, "{:?}, {:?}", decided.duration, answer.duration);
    }
    assert_eq!(asked, 1, "one is asked at once");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_waited_for_before_the_refusal() {
    let (shop, service) = start(Backend::Embedded, "").await;
    drop(service);
    let message = Message::event("oUSER", EVENT);
    let answer = push(&shop, &shop.accounts[2], Format::Json, &message).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.duration > Duration::from_secs(2), "{:?}", answer.duration);
    // Each try is a connection that is refused.
    assert!(shop.stack.programs[0].metric(r#"kefu_ingress_webhook_calls_total{outcome="failed"}"#).await > 1.0);
}

#[tokio::test]
async fn a_decision_may_be_success_in_clear() {
    let (shop, service) = start(Backend::Embedded, "").await;
    service.then([Does::answer(200, "success")]);
    let answer = push(&shop, &shop.accounts[2], Format::Xml, &Message::event("oUSER", EVENT)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "success"));
}

#[tokio::test]
async fn a_fault_in_a_character_of_a_decision_is_mended() {
    let (shop, service) = start(Backend::Embedded, "").await;
    for account in &shop.accounts {
        for (index, (format, answer, decision)) in [
            (Format::Json, &b"\xef\xbb\xbf{\"ErrCode\":0,\"ErrMsg\":\"ok\"}"[..], r#"{"ErrCode":0,"ErrMsg":"ok"}"#),
            (Format::Json, br#"{"ErrCode":0,"ErrMsg":"ok\ud83d"}"#, r#"{"ErrCode":0,"ErrMsg":"ok"}"#),
            (Format::Xml, b"\xef\xbb\xbf<xml><ErrMsg>o\x02k</ErrMsg></xml>", "<xml><ErrMsg>ok</ErrMsg></xml>"),
        ]
        .into_iter()
        .enumerate()
        {
            let message = Message::event("oUSER", EVENT).text_field("Book", &index.to_string());
            service.then([Does::answer(200, answer)]);
            let answer = push(&shop, account, format, &message).await;
            assert_eq!(read(&answer, account), decision, "{index}, {:?}", account.mode);
        }
    }
    assert_eq!(service.asked().len(), 3 * shop.accounts.len());
}
