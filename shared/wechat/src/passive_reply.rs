//! Answers to pushes that say more than `success`: the body of the HTTP response.
//!
//! `success` and an empty body are never encrypted, in no mode: WeChat would show its users that the service is out of
//! order. In safe and compat mode every other answer is encrypted, unless the page of its event says otherwise
//! ([`event_answer`](super::event_answer)).
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use std::borrow::Cow;

use serde::Serialize;

use super::cipher::EncodingAesKey;
use super::push::{Format, Push};
use super::signature;

/// `transfer_customer_service`: hands the answered message over to the human agents.
///
/// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html>. The page
/// shows XML for servers and JSON for cloud functions; an answer is in the data format of its push.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Transfer<'a> {
    to_user_name: &'a str,
    from_user_name: &'a str,
    create_time: i64,
    msg_type: &'static str,
}

/// The answer that transfers a user's message, in the push's own format, not encrypted. `create_time` is the time of the
/// answer, in seconds since the Unix epoch. Only a user's message can be transferred, never an event.
pub fn transfer(push: &Push, create_time: i64) -> String {
    let transfer = Transfer {
        to_user_name: push.from_user.as_str(),
        from_user_name: &push.to_user,
        create_time,
        msg_type: "transfer_customer_service",
    };
    match push.format {
        Format::Json => json(&transfer),
        Format::Xml => format!(
            "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{create_time}</CreateTime>\
             <MsgType>{}</MsgType></xml>",
            cdata(transfer.to_user_name),
            cdata(transfer.from_user_name),
            cdata(transfer.msg_type),
        ),
    }
}

/// The format of an answer that is not `success`.
pub fn format_of(answer: &str) -> Format {
    match answer.trim_start().starts_with('<') {
        true => Format::Xml,
        false => Format::Json,
    }
}

/// The account's values that encrypt and sign an answer: a Token and a key that WeChat uses now.
#[derive(Debug, Clone, Copy)]
pub struct Seal<'a> {
    /// The account's appid.
    pub appid: &'a str,
    /// The Token.
    pub token: &'a str,
    /// The key.
    pub key: &'a EncodingAesKey,
}

/// An encrypted answer in JSON; the names are WeChat's, and unlike those of WeCom.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted<'a> {
    encrypt: String,
    msg_signature: String,
    time_stamp: i64,
    nonce: &'a str,
}

impl Seal<'_> {
    /// Encrypts an answer, in the answer's own format. `time_stamp` is the present time in seconds since the Unix epoch,
    /// and `nonce` is the nonce of the push's query. `random` must be fresh for each answer.
    pub fn encrypt(&self, answer: &str, time_stamp: i64, nonce: &str, random: [u8; 16]) -> String {
        let encrypt = self.key.encrypt(answer, self.appid, random);
        let msg_signature = signature::sign_encrypted(self.token, &time_stamp.to_string(), nonce, &encrypt);
        match format_of(answer) {
            Format::Json => json(&Encrypted { encrypt, msg_signature, time_stamp, nonce }),
            Format::Xml => format!(
                "<xml><Encrypt>{}</Encrypt><MsgSignature>{}</MsgSignature><TimeStamp>{time_stamp}</TimeStamp>\
                 <Nonce>{}</Nonce></xml>",
                cdata(&encrypt),
                cdata(&msg_signature),
                cdata(nonce),
            ),
        }
    }
}

/// Strings and numbers only: serialising them cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// `]]>` would end the section, so it is spread over two sections.
fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", fit_for_xml(text).replace("]]>", "]]]]><![CDATA[>"))
}

/// The text without the characters that no XML document may contain, not even as references.
///
/// Source: <https://www.w3.org/TR/xml/#charsets>.
pub fn fit_for_xml(text: &str) -> Cow<'_, str> {
    let is_unfit =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(is_unfit) { text.replace(is_unfit, "").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::super::push::Body;
    use super::*;

    /// A text of the user `o"]]><&` to the mini program `gh_]]>`.
    fn push(format: Format) -> Push {
        let text = match format {
            Format::Json => r#"{"ToUserName":"gh_]]>","FromUserName":"o\"]]><&","MsgType":"text","Content":"x"}"#,
            Format::Xml => {
                "<xml><ToUserName>gh_]]&gt;</ToUserName><FromUserName>o\"]]&gt;&lt;&amp;</FromUserName>\
                 <MsgType>text</MsgType><Content>x</Content></xml>"
            }
        };
        Push::parse(text).unwrap()
    }

    #[test]
    fn a_transfer_goes_back_to_the_user_in_the_formats_own_shape() {
        let mut push = push(Format::Xml);
        push.to_user = "gh_1".to_owned();
        push.from_user = crate::openid::OpenId::new("oUSER");
        assert_eq!(
            transfer(&push, 1_399_197_672),
            "<xml><ToUserName><![CDATA[oUSER]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>\
             <CreateTime>1399197672</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
        );
        push.format = Format::Json;
        assert_eq!(
            transfer(&push, 1_399_197_672),
            r#"{"ToUserName":"oUSER","FromUserName":"gh_1","CreateTime":1399197672,"MsgType":"transfer_customer_service"}"#
        );
    }

    #[test]
    fn names_cannot_break_out_of_their_fields() {
        for format in [Format::Xml, Format::Json] {
            let body = Body::parse(&transfer(&push(format), 1)).unwrap();
            assert_eq!(body.format, format);
            assert_eq!(body.fields.text("ToUserName"), Some("o\"]]><&"));
            assert_eq!(body.fields.text("FromUserName"), Some("gh_]]>"));
        }
    }

    #[test]
    fn what_xml_has_no_place_for_is_left_out() {
        let mut push = push(Format::Xml);
        push.from_user = crate::openid::OpenId::new("o\u{2}U\u{ffff}\tS\u{85}");
        let body = Body::parse(&transfer(&push, 1)).unwrap();
        assert_eq!(body.fields.text("ToUserName"), Some("oU\tS\u{85}"));
    }

    #[test]
    fn an_encrypted_answer_has_the_four_fields_as_wechat_spells_them() {
        let key = EncodingAesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
        let seal = Seal { appid: "wx1", token: "tok", key: &key };
        let sealed = seal.encrypt("{}", 1_713_424_427, "n\"", [7; 16]);
        let encrypt = key.encrypt("{}", "wx1", [7; 16]);
        let signature = signature::sign_encrypted("tok", "1713424427", "n\"", &encrypt);
        let expected =
            format!(r#"{{"Encrypt":"{encrypt}","MsgSignature":"{signature}","TimeStamp":1713424427,"Nonce":"n\""}}"#);
        assert_eq!(sealed, expected);

        let sealed = seal.encrypt("<xml></xml>", 1_713_424_427, "n]]>", [7; 16]);
        let encrypt = key.encrypt("<xml></xml>", "wx1", [7; 16]);
        let signature = signature::sign_encrypted("tok", "1713424427", "n]]>", &encrypt);
        let expected = format!(
            "<xml><Encrypt><![CDATA[{encrypt}]]></Encrypt><MsgSignature><![CDATA[{signature}]]></MsgSignature>\
             <TimeStamp>1713424427</TimeStamp><Nonce><![CDATA[n]]]]><![CDATA[>]]></Nonce></xml>"
        );
        assert_eq!(sealed, expected);
        assert_eq!(key.decrypt(&encrypt, "wx1").as_deref(), Ok("<xml></xml>"));
    }
}
