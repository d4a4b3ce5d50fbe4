#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;
use crate::message::MsgId;

fn account() -> SimulatedAccount {
    serde_json::from_value(json!({
        "appid": "wx1", "secret": "s", "token": "tok", "raw_id": "gh_1",
        "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    }))
    .unwrap()
}

fn push(message: Message) -> Push {
    Push { user: "oUSER".to_owned(), create_time: 1, msg_id: Some(MsgId::Number(1)), message }
}

fn verdict(message: Message, format: Format, mode: Mode, status: u16, body: &str) -> Verdict {
    judge(&account(), &push(message), format, mode, status, body.as_bytes())
}

fn transfer_json() -> String {
    json!({
        "ToUserName": "oUSER", "FromUserName": "gh_1", "CreateTime": 5, "MsgType": "transfer_customer_service"
    })
    .to_string()
}

fn encrypted(text: &str, signature_of: &str) -> String {
    let encrypt = account().key().unwrap().unwrap().encrypt(text, "wx1", [7; 16]);
    let signature = signature::sign_encrypted(signature_of, "9", "n", &encrypt);
    json!({ "Encrypt": encrypt, "MsgSignature": signature, "TimeStamp": 9, "Nonce": "n" }).to_string()
}

#[test]
fn success_and_an_empty_body_are_good_and_anything_near_them_is_not() {
    let outcome = |status, body| verdict(Message::text("a"), Format::Xml, Mode::Safe, status, body).outcome;
    assert_eq!(outcome(200, "success"), Outcome::Success);
    assert_eq!(outcome(200, ""), Outcome::Empty);
    assert_eq!(outcome(200, "\"success\""), Outcome::Malformed);
    assert_eq!(outcome(200, "SUCCESS"), Outcome::Malformed);
    assert_eq!(outcome(503, "success"), Outcome::Status);
}

#[test]
fn a_transfer_must_be_encrypted_in_safe_mode_and_may_not_be_in_plain_mode() {
    let outcome = |mode, body: &str| verdict(Message::text("a"), Format::Json, mode, 200, body).outcome;
    let (plain, sealed) = (transfer_json(), encrypted(&transfer_json(), "tok"));
    assert_eq!(outcome(Mode::Plain, &plain), Outcome::Transfer);
    assert_eq!(outcome(Mode::Plain, &sealed), Outcome::Malformed);
    assert_eq!(outcome(Mode::Compat, &plain), Outcome::Transfer);
    assert_eq!(outcome(Mode::Compat, &sealed), Outcome::Transfer);
    assert_eq!(outcome(Mode::Safe, &plain), Outcome::Malformed);
    assert_eq!(outcome(Mode::Safe, &sealed), Outcome::Transfer);
}

#[test]
fn an_encrypted_transfer_is_read_and_a_forged_one_refused() {
    let good = verdict(Message::text("a"), Format::Json, Mode::Safe, 200, &encrypted(&transfer_json(), "tok"));
    let expected =
        Transfer { to_user: "oUSER".to_owned(), from_user: "gh_1".to_owned(), create_time: 5, encrypted: true };
    assert_eq!(good.transfer, Some(expected));
    let forged = verdict(Message::text("a"), Format::Json, Mode::Safe, 200, &encrypted(&transfer_json(), "other"));
    assert_eq!(forged.detail.as_deref(), Some("MsgSignature of the reply is wrong"));
}

#[test]
fn a_transfer_in_the_other_format_or_for_another_user_is_malformed() {
    let other_format = verdict(Message::text("a"), Format::Xml, Mode::Plain, 200, &transfer_json());
    assert_eq!(other_format.outcome, Outcome::Malformed);
    let other_user = transfer_json().replace("oUSER", "oOTHER");
    assert_eq!(verdict(Message::text("a"), Format::Json, Mode::Plain, 200, &other_user).outcome, Outcome::Malformed);
}

#[test]
fn an_event_takes_any_well_formed_reply_but_no_transfer() {
    let pay = || Message::Event { event: "xpay_goods_deliver_notify".to_owned(), fields: serde_json::Map::new() };
    let outcome = |message, body: &str| verdict(message, Format::Json, Mode::Safe, 200, body).outcome;
    assert_eq!(outcome(pay(), r#"{"ErrCode":0,"ErrMsg":"success"}"#), Outcome::Reply);
    assert_eq!(outcome(pay(), &transfer_json()), Outcome::Malformed);
    assert_eq!(outcome(Message::enter(""), &encrypted(&transfer_json(), "tok")), Outcome::Malformed);
    assert_eq!(outcome(Message::text("a"), r#"{"ErrCode":0}"#), Outcome::Malformed);
}
