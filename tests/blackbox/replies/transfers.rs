//! Messages that go to the human agents: what WeChat is answered, and that nothing is sent besides.

use kefu_harness::shop::{RAW_ID, Shop, ShopOptions};
use kefu_harness::stack::Backend;
use kefu_harness::wechat::{Account, Answer, Format, Message, Mode, field};
use kefu_simulator::{Outcome, PushRequest};
use kefu_wechat::push;

const RULES: &str = r#"
[[rule]]
when = { type = "text", contains = "人工" }
transfer = true
[[rule]]
when = { type = ["image", "miniprogrampage"] }
transfer = true
[[rule]]
when = { type = "text" }
reply = [{ text = "hello" }]
"#;

async fn shop(backend: Backend, accounts: Vec<Account>) -> Shop {
    Shop::start(ShopOptions { accounts, rules: RULES.to_owned(), ..ShopOptions::new(backend) }).await
}

/// What a user sends, in the harness's words and in the simulator's.
fn messages(user: &str) -> [(Message, kefu_simulator::Message); 3] {
    let card = kefu_simulator::Message::Miniprogrampage {
        title: "t".into(),
        app_id: String::new(),
        page_path: "p".into(),
        thumb_url: String::new(),
        thumb_media_id: String::new(),
    };
    [
        (Message::text(user, "转人工客服"), kefu_simulator::Message::text("转人工客服")),
        (Message::image(user), kefu_simulator::Message::image()),
        (Message::miniprogrampage(user), card),
    ]
}

/// The text of a transfer, which must be as WeChat's page has it to the letter.
fn transfer(answer: &Answer, account: &Account, format: Format, user: &str, case: &str) -> String {
    let said = answer.said_to(account).unwrap_or_else(|error| panic!("{case}: {error}: {answer:?}"));
    let time = field(&said, "CreateTime").unwrap_or_default();
    assert!(time.parse::<u32>().is_ok_and(|time| time > 1_700_000_000), "{case}: {said}");
    let (expected, content_type) = match format {
        Format::Xml => (
            format!(
                "<xml><ToUserName><![CDATA[{user}]]></ToUserName><FromUserName><![CDATA[{RAW_ID}]]></FromUserName>\
                 <CreateTime>{time}</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
            ),
            "text/xml; charset=utf-8",
        ),
        Format::Json => (
            format!(
                r#"{{"ToUserName":"{user}","FromUserName":"{RAW_ID}","CreateTime":{time},"MsgType":"transfer_customer_service"}}"#
            ),
            "application/json",
        ),
    };
    assert_eq!(said, expected, "{case}");
    assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some(content_type)), "{case}");
    said
}

async fn what_users_send_is_transferred_in_every_mode_and_format(backend: Backend) {
    let shop = shop(backend, Mode::ALL.map(Account::random).into()).await;
    let mut pushes = 0;
    for account in &shop.accounts {
        for format in Format::ALL {
            let user = format!("oUSER{pushes}");
            let its_format = match format {
                Format::Xml => push::Format::Xml,
                Format::Json => push::Format::Json,
            };
            for (message, simulated) in messages(&user) {
                let case = format!("{}, {format:?}, {:?}", message.field("MsgType").unwrap(), account.mode);
                let push = account.push(format, &message);
                let answer = shop.stack.pushes.send(&account.appid, &push).await;
                transfer(&answer, account, format, &user, &case);
                if account.mode != Mode::Plain {
                    let nonce = field(&answer.body, "Nonce");
                    assert_eq!(nonce.as_deref(), push.parameter("nonce"), "{case}");
                    let number = answer.body.contains("\"TimeStamp\":1") || answer.body.contains("<TimeStamp>1");
                    assert!(number && !answer.body.contains(&user), "{case}: {answer:?}");
                }

                let request = PushRequest::new(&account.appid, &user, simulated);
                let report = shop.send(PushRequest { format: Some(its_format), ..request }).await;
                let tries = &report.copies[0].tries;
                let transferred = tries[0].transfer.as_ref().map(|transfer| transfer.encrypted);
                assert_eq!((tries.len(), tries[0].outcome), (1, Outcome::Transfer), "{case}: {tries:?}");
                assert_eq!(transferred, Some(account.mode != Mode::Plain), "{case}");
                pushes += 2;
            }
            // Handled after what came before it: a reply to that would be there by then.
            shop.send(PushRequest::new(&account.appid, &user, kefu_simulator::Message::text("hi"))).await;
            assert_eq!(shop.replies_within(&user, 1).await[0]["text"]["content"], "hello");
        }
    }
    let (ingress, worker) = (shop.stack.programs.first().unwrap(), shop.stack.programs.last().unwrap());
    ingress.counts(r#"kefu_ingress_answers_total{kind="push",outcome="transferred"}"#, pushes).await;
    worker.counts(r#"kefu_worker_messages_total{outcome="answered"}"#, pushes).await;
}

on_each_backend!(what_users_send_is_transferred_in_every_mode_and_format);

#[tokio::test]
async fn the_first_answer_stands_for_all_copies_also_when_the_rules_have_changed() {
    for backend in Backend::ALL {
        let mut shop = shop(backend, Mode::ALL.map(Account::random).into()).await;
        let accounts = shop.accounts.clone();
        let (human, robot) = (Message::text("oHUMAN", "人工"), Message::text("oROBOT", "机器"));
        let mut first = Vec::new();
        for account in &accounts {
            let answer = shop.stack.pushes.push(account, Format::Xml, &human).await;
            let said = transfer(&answer, account, Format::Xml, "oHUMAN", "first");
            // The second one is a copy, whose answer waits until the answer to the first is recorded.
            for _ in 0..2 {
                assert!(shop.stack.pushes.push(account, Format::Xml, &robot).await.is_success());
            }
            first.push((answer, said));
        }

        let config = std::fs::read_to_string(shop.stack.config()).unwrap();
        assert!(config.contains("\"人工\""));
        std::fs::write(shop.stack.config(), config.replace("\"人工\"", "\"机器\"")).unwrap();
        shop.stack.crash_and_restart_ingress().await;
        shop.set_callbacks();

        for (account, (answer, said)) in accounts.iter().zip(&first) {
            let copy = shop.stack.pushes.push(account, Format::Xml, &human).await;
            assert_eq!(copy.said_to(account).as_deref(), Ok(said.as_str()), "{backend:?}, {:?}", account.mode);
            // Sealed anew, since its nonce is another.
            assert_eq!(copy.body == answer.body, account.mode == Mode::Plain, "{backend:?}, {:?}", account.mode);
            let copy = shop.stack.pushes.push(account, Format::Xml, &robot).await;
            assert_eq!(copy.body, "success", "{backend:?}, {:?}", account.mode);
        }
        // By the new rules; a worker that still has the old ones does not leave the user without a reply.
        let report = shop.push("oLATE", kefu_simulator::Message::text("人工")).await;
        assert_eq!(report.copies[0].tries[0].outcome, Outcome::Success, "{backend:?}");
        assert_eq!(shop.replies_within("oLATE", 1).await[0]["text"]["content"], "hello", "{backend:?}");
        let report = shop.push("oROBOT2", kefu_simulator::Message::text("机器")).await;
        assert_eq!(report.copies[0].tries[0].outcome, Outcome::Transfer, "{backend:?}");
    }
}
