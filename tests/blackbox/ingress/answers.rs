//! Answers that say more than `success`.

use std::time::{SystemTime, UNIX_EPOCH};

use kefu_harness::stack::{Backend, StackOptions};
use kefu_harness::wechat::{Account, Answer, Format, Message, Mode, OpenError, field};

use super::trifles::envelopes;
use super::{Ingress, USER, assert_success};

const RULES: &str = r#"
[[rule]]
when = { type = "text", contains = "human" }
transfer = true
[[rule]]
when = {}
reply = [{ text = "x" }]
"#;

async fn start(accounts: &[&Account], before_the_rules: &str) -> Ingress {
    let accounts = accounts.iter().map(|&account| account.clone()).collect();
    let mut options = StackOptions::new(Backend::Production, accounts, "http://127.0.0.1:9");
    options.rules = format!("{before_the_rules}{RULES}");
    Ingress::start_with(options).await
}

fn is_a_transfer(answer: &Answer, account: &Account, case: &str) -> String {
    let said = answer.said_to(account).unwrap_or_else(|error| panic!("{case}: {error}: {answer:?}"));
    assert_eq!(answer.status, 200, "{case}");
    assert_eq!(field(&said, "MsgType").as_deref(), Some("transfer_customer_service"), "{case}");
    said
}

/// What the answer to an event is, and its Content-Type.
fn event_answers(format: Format) -> Vec<(&'static str, &'static str, &'static str)> {
    let (paid, its_type) = match format {
        Format::Xml => {
            ("<xml><ErrCode>0</ErrCode><ErrMsg><![CDATA[success]]></ErrMsg></xml>", "text/xml; charset=utf-8")
        }
        Format::Json => (r#"{"ErrCode":0,"ErrMsg":"success"}"#, "application/json"),
    };
    let payments = [
        "xpay_goods_deliver_notify",
        "xpay_coin_pay_notify",
        "xpay_refund_notify",
        "xpay_complaint_notify",
        "xpay_wxpay_callback_notify",
        "xpay_subscribe_signing_result_notify",
        "xpay_subscribe_pay_fail_notify",
        "Xpay_Goods_Deliver_Notify",
    ];
    let plain = [
        "xpay_subscribe_ios_refund_query_notify",
        "wxa_novel_chapter_permission",
        "check_biz",
        "transport_cancel_order",
        "transport_query_order_status",
        "user_enter_tempsession",
        "retail_pay_notify",
    ];
    let mut answers = vec![("iot_voip_notify", r#"{"errcode":0,"errmsg":"ok"}"#, "application/json")];
    answers.extend(payments.map(|event| (event, paid, its_type)));
    answers.extend(plain.map(|event| (event, "success", "text/plain; charset=utf-8")));
    answers
}

#[tokio::test]
async fn each_event_gets_the_answer_of_its_page_and_its_copies_the_same() {
    let accounts = Mode::ALL.map(Account::random);
    let ingress = start(&accounts.each_ref(), "").await;
    let mut stored = 0;
    for account in &accounts {
        for format in Format::ALL {
            for (event, expected, content_type) in event_answers(format) {
                let message = Message::event(&format!("oPLATFORM{stored}"), event);
                let case = format!("{event}, {format:?}, {:?}", account.mode);
                // WeChat counts its re-sends in the push.
                for retry in 0..2 {
                    let message = message.clone().number_field("RetryTimes", retry);
                    let answer = ingress.pushes.push(account, format, &message).await;
                    // In clear in every mode: `success`, and the one whose page shows it so.
                    let in_clear = expected == "success" || event == "iot_voip_notify";
                    let said = if in_clear { Ok(answer.body.clone()) } else { answer.said_to(account) };
                    assert_eq!(said.as_deref(), Ok(expected), "{case}, {answer:?}");
                    assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some(content_type)), "{case}");
                }
                stored += 1;
            }
        }
    }
    ingress.stores(stored).await;
    // Once a mode and format, copies not counted; two of the family.
    for (event, count) in [("check_biz", 6.0), ("wxa_novel_chapter_permission", 6.0), ("transport_*", 12.0)] {
        let name = format!("kefu_ingress_undecided_events_total{{event=\"{event}\"}}");
        assert_eq!(ingress.program.metric(&name).await, count, "{name}");
        let output = ingress.program.output();
        let said = output.lines().filter(|line| line.contains("wants a decision") && line.contains(event)).count();
        assert_eq!(said, 1, "{event} in the log:\n{output}");
    }
}

#[tokio::test]
async fn an_answer_is_sealed_with_the_token_and_the_key_that_the_push_came_with() {
    let (new, old) = (Account::random(Mode::Safe), Account::random(Mode::Safe));
    let previous =
        format!("[[account.previous]]\ntoken = \"{}\"\nencoding_aes_key = \"{}\"\n", old.token, old.encoding_aes_key);
    let ingress = start(&[&new], &previous).await;
    for token in [&new, &old] {
        for key in [&new, &old] {
            let wechat =
                Account { token: token.token.clone(), encoding_aes_key: key.encoding_aes_key.clone(), ..new.clone() };
            for format in Format::ALL {
                let message = Message::text(USER, "a human");
                // The copy as well, and it may come after the change.
                for (copy, account) in [("first", &wechat), ("copy", &wechat), ("copy after the change", &new)] {
                    let answer = ingress.pushes.push(account, format, &message).await;
                    is_a_transfer(&answer, account, copy);
                    let other = Account { token: "other".to_owned(), ..account.clone() };
                    assert_eq!(answer.open(&other), Err(OpenError::Signature), "{copy}");
                }
            }
        }
    }
    ingress.stores(8).await;
}

#[tokio::test]
async fn names_cannot_break_out_of_a_transfer() {
    let accounts = Mode::ALL.map(Account::random);
    let ingress = start(&accounts.each_ref(), "").await;
    let (user, raw_id) = ("o\"]]><x>'&amp;\\", "gh_]]>\"<x>]]");
    for account in &accounts {
        for format in Format::ALL {
            let case = format!("{format:?}, {:?}", account.mode);
            let message = Message::text(user, "a human").text_field("ToUserName", raw_id);
            let answer = ingress.pushes.push(account, format, &message).await;
            let said = is_a_transfer(&answer, account, &case);
            assert_eq!(field(&said, "ToUserName").as_deref(), Some(user), "{case}: {said}");
            assert_eq!(field(&said, "FromUserName").as_deref(), Some(raw_id), "{case}: {said}");
            assert_eq!(said.starts_with('<'), format == Format::Xml, "{case}");
        }
    }
}

#[tokio::test]
async fn a_long_text_that_is_read_on_another_thread_is_transferred_too() {
    let accounts = Mode::ALL.map(Account::random);
    let ingress = start(&accounts.each_ref(), "").await;
    for account in &accounts {
        let message = Message::text(USER, &format!("{} human", "客".repeat(50_000)));
        for copy in ["first", "copy"] {
            is_a_transfer(&ingress.pushes.push(account, Format::Xml, &message).await, account, copy);
        }
    }
    ingress.stores(3).await;
}

#[tokio::test]
async fn the_envelope_says_that_a_message_was_transferred_and_the_metric_too() {
    let account = Account::random(Mode::Safe);
    let ingress = start(&[&account], "").await;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let answer = ingress.pushes.push(&account, Format::Json, &Message::text(USER, "a human")).await;
    let said = is_a_transfer(&answer, &account, "the transfer");
    let create_time: u64 = field(&said, "CreateTime").unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((before..=now).contains(&create_time), "{create_time} is not between {before} and {now}");
    for message in [Message::text(USER, "hi"), Message::enter_tempsession(USER, "human")] {
        assert_success(&ingress.pushes.push(&account, Format::Json, &message).await, "no transfer");
    }
    for (outcome, count) in [("transferred", 1.0), ("published", 2.0)] {
        let name = format!("kefu_ingress_answers_total{{kind=\"push\",outcome=\"{outcome}\"}}");
        assert_eq!(ingress.program.metric(&name).await, count, "{name}");
    }
    let envelopes = envelopes(&ingress, 3).await;
    let answered: Vec<_> = envelopes.iter().filter_map(|envelope| envelope.get("answered")).collect();
    assert_eq!(answered, ["transfer"]);
    let output = ingress.program.output();
    assert!(!output.contains(USER) && !output.contains("a human"), "a user is in the log:\n{output}");
}

#[tokio::test]
async fn what_the_store_does_not_know_is_decided_again() {
    let account = Account::random(Mode::Safe);
    let mut ingress = start(&[&account], "").await;
    let message = Message::text(USER, "a human");
    let push = async |ingress: &Ingress, case: &str| {
        let answer = ingress.pushes.push(&account, Format::Xml, &message).await;
        is_a_transfer(&answer, &account, case);
    };
    push(&ingress, "first").await;
    // As if the first had died between publishing and completing, and its hold had run out.
    let () = redis::cmd("DEL").arg(ingress.claims().await).query_async(&mut ingress.redis().await).await.unwrap();
    push(&ingress, "after a crash").await;
    ingress.redis.kill();
    push(&ingress, "without the store").await;
    ingress.stores(3).await;
}
