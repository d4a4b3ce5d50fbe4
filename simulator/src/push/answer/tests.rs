use serde_json::json;

use super::*;
use crate::config::SimulatedAccount;
use crate::message::MsgId;
use crate::push::request::Cdata;

fn account() -> SimulatedAccount {
    serde_json::from_value(json!({
        "appid": "wx1", "secret": "s", "token": "tok", "raw_id": "gh_1",
        "encoding_aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    }))
    .unwrap()
}

fn verdict(message: Message, format: Format, mode: Mode, status: u16, body: &str) -> Verdict {
    let (user, msg_id, cdata) = ("oUSER".to_owned(), Some(MsgId::Number(1)), Cdata::Split);
    let push = Push { account: account(), user, create_time: 1, msg_id, message, cdata, format, mode };
    judge(&push, "n", status, body.as_bytes())
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
fn an_encrypted_answer_has_the_pushs_nonce_and_a_number_for_its_time() {
    let good = encrypted(&transfer_json(), "tok");
    let encrypt = account().key().unwrap().unwrap().encrypt(&transfer_json(), "wx1", [7; 16]);
    let other_nonce = json!({
        "Encrypt": encrypt, "MsgSignature": signature::sign_encrypted("tok", "9", "m", &encrypt), "TimeStamp": 9,
        "Nonce": "m",
    });
    let time_as_text = good.replace("\"TimeStamp\":9", "\"TimeStamp\":\"9\"");
    let lower_case = good.replace("MsgSignature", "msgsignature");
    for bad in [other_nonce.to_string(), time_as_text, lower_case] {
        assert_ne!(bad, good);
        let verdict = verdict(Message::text("a"), Format::Json, Mode::Safe, 200, &bad);
        assert_eq!(verdict.outcome, Outcome::Malformed, "{bad}");
    }
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

#[test]
fn a_payment_is_not_taken_for_delivered_by_another_reply_and_a_call_only_by_its_own() {
    let event = |event: &str| Message::Event { event: event.to_owned(), fields: serde_json::Map::new() };
    let outcome = |name: &str, format, body: &str| verdict(event(name), format, Mode::Safe, 200, body).outcome;
    let pay = "xpay_coin_pay_notify";
    assert_eq!(outcome(pay, Format::Json, "success"), Outcome::Success);
    assert_eq!(outcome(pay, Format::Json, &encrypted(r#"{"ErrCode":0}"#, "tok")), Outcome::Reply);
    assert_eq!(outcome(pay, Format::Xml, "<xml><ErrCode>0</ErrCode></xml>"), Outcome::Reply);
    for bad in [r#"{"ErrCode":1}"#, r#"{"errcode":0}"#, "{}", "<xml><ErrCode>0</ErrCode></xml>"] {
        assert_eq!(outcome(pay, Format::Json, bad), Outcome::Malformed, "{bad}");
    }
    let call = r#"{"errcode":0,"errmsg":"ok"}"#;
    for format in [Format::Xml, Format::Json] {
        assert_eq!(outcome("iot_voip_notify", format, call), Outcome::Reply);
        for bad in ["success", "", r#"{"errcode":1}"#, &encrypted(call, "tok")] {
            assert_eq!(outcome("iot_voip_notify", format, bad), Outcome::Malformed, "{bad}");
        }
    }
}
