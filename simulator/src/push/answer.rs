//! How WeChat judges the answer to a push.

use kefu_wechat::push::{Body, Format};
use kefu_wechat::signature;
use serde_json::Value;

use super::report::{Outcome, Transfer};
use super::request::Push;
use crate::config::Mode;
use crate::message::Message;

/// The judgement on one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How the try ended.
    pub outcome: Outcome,
    /// The mistake in the answer, in words.
    pub detail: Option<String>,
    /// The transfer, if the answer is one.
    pub transfer: Option<Transfer>,
}

impl Verdict {
    fn good(outcome: Outcome) -> Self {
        Self { outcome, detail: None, transfer: None }
    }

    pub(crate) fn bad(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: Some(detail.into()), transfer: None }
    }
}

/// Judges an answer that came in time to a push with this `nonce` in its query. `success` and an empty body are never
/// encrypted, and are good answers to everything but a call from a device. The answer to a user's message may be a
/// transfer in the push's own format, encrypted in safe mode. The answer to entering the session may be neither a
/// transfer nor another reply. The answer to any other event may be any well-formed reply that reports no error.
pub fn judge(push: &Push, nonce: &str, status: u16, body: &[u8]) -> Verdict {
    if !(200..300).contains(&status) {
        return Verdict::bad(Outcome::Status, format!("the status is {status}"));
    }
    let is_device_call =
        matches!(&push.message, Message::Event { event, .. } if event.eq_ignore_ascii_case(DEVICE_CALL));
    let judged = match body {
        _ if is_device_call => device_call(body).map(|()| None),
        b"" => return Verdict::good(Outcome::Empty),
        b"success" => return Verdict::good(Outcome::Success),
        _ => reply(push, nonce, body),
    };
    match judged {
        Ok(Some(transfer)) => Verdict { transfer: Some(transfer), ..Verdict::good(Outcome::Transfer) },
        Ok(None) => Verdict::good(Outcome::Reply),
        Err(detail) => Verdict::bad(Outcome::Malformed, detail),
    }
}

const DEVICE_CALL: &str = "iot_voip_notify";

/// Checks the answer to a call from a device. WeChat's page about this event shows one good answer, in clear and in
/// JSON. Any other answer cancels the call.
fn device_call(body: &[u8]) -> Result<(), String> {
    match read(utf8(body)?, Format::Json)?.fields.text("errcode") {
        Some("0") => Ok(()),
        _ => Err(format!("the answer to {DEVICE_CALL} has no errcode 0")),
    }
}

fn reply(push: &Push, nonce: &str, body: &[u8]) -> Result<Option<Transfer>, String> {
    let (account, format, mode) = (&push.account, push.format, push.mode);
    let text = utf8(body)?;
    let outer = read(text, format)?;
    let encrypted = outer.encrypt().is_some();
    let inner = match encrypted {
        true if mode == Mode::Plain => return Err("the reply is encrypted, and the mode is plain".to_owned()),
        true => read(&decrypt(push, text, &outer, nonce)?, format)?,
        false => outer,
    };
    let field = |name: &str| inner.fields.text(name).unwrap_or_default();
    let is_transfer = field("MsgType") == "transfer_customer_service";
    match &push.message {
        Message::Event { event, .. } if !is_transfer => {
            let of_payments = event.starts_with("xpay_") && event.ends_with("_notify");
            return match inner.fields.text("ErrCode") {
                Some("0") => Ok(None),
                None if !of_payments => Ok(None),
                _ => Err("the reply has no ErrCode 0, so WeChat pushes the event again".to_owned()),
            };
        }
        Message::Enter { .. } | Message::Event { .. } => return Err("an event cannot be transferred".to_owned()),
        _ if !is_transfer => return Err("the answer to a message can only be success or a transfer".to_owned()),
        _ if mode == Mode::Safe && !encrypted => return Err("in safe mode a transfer must be encrypted".to_owned()),
        _ => {}
    }
    if field("ToUserName") != push.user {
        return Err("ToUserName of the transfer is not the user's openid".to_owned());
    }
    if field("FromUserName") != account.raw_id {
        return Err("FromUserName of the transfer is not the mini program's original id".to_owned());
    }
    let create_time = field("CreateTime").parse().map_err(|_| "CreateTime of the transfer is not a number")?;
    Ok(Some(Transfer { to_user: push.user.clone(), from_user: account.raw_id.clone(), create_time, encrypted }))
}

fn utf8(body: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())
}

fn read(text: &str, format: Format) -> Result<Body, String> {
    let body = Body::parse_strictly(text).map_err(|error| error.to_string())?;
    match body.format == format {
        true => Ok(body),
        false => Err("the reply is not in the push's data format".to_owned()),
    }
}

fn decrypt(push: &Push, text: &str, outer: &Body, nonce: &str) -> Result<String, String> {
    let account = &push.account;
    let json = || serde_json::from_str::<Value>(text);
    if push.format == Format::Json && !json().is_ok_and(|json| json["TimeStamp"].is_u64()) {
        // In WeChat's own example it is a number and not a string.
        return Err("TimeStamp of the reply is not a number".to_owned());
    }
    let field = |name: &str| outer.fields.text(name).ok_or_else(|| format!("the encrypted reply has no {name}"));
    let encrypt = field("Encrypt")?;
    let expected = signature::sign_encrypted(&account.token, field("TimeStamp")?, field("Nonce")?, encrypt);
    if expected != field("MsgSignature")? {
        return Err("MsgSignature of the reply is wrong".to_owned());
    }
    if field("Nonce")? != nonce {
        return Err("Nonce of the reply is not that of the push".to_owned());
    }
    let key = account.key().ok().flatten().ok_or("the reply is encrypted, and the account has no key")?;
    key.decrypt(encrypt, &account.appid).map_err(|error| format!("the reply cannot be decrypted: {error}"))
}

#[cfg(test)]
mod tests;
