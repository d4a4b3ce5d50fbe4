//! A synchronous answer: the answer for WeChat itself.

use std::str;

use kefu_wechat::push::{Body, Format};
use kefu_wechat::{json, passive_reply};

use super::{Answer, Failure};

/// The largest decision, in bytes: documented ones have some hundred.
const MAX_DECISION_BYTES: usize = 64 * 1024;

/// The answer for WeChat to a push of this format, as the service gave it: well-formed in that format, or `success`. The
/// function removes a byte order mark, and mends a fault within a string and a character that XML does not allow.
///
/// # Errors
/// [`Failure::Refused`] for anything else.
pub fn decision(answer: &Answer, format: Format) -> Result<String, Failure> {
    read(answer, format).map_err(|failure| failure.of(&answer.host))
}

fn read(answer: &Answer, format: Format) -> Result<String, Failure> {
    let refused = |error: &'static str| Err(Failure::Refused(error.into()));
    if answer.body.is_empty() {
        return refused("its answer is empty, and WeChat wants a decision");
    }
    if answer.body.len() > MAX_DECISION_BYTES {
        return Err(Failure::Refused(format!("its answer has more than {} KiB", MAX_DECISION_BYTES / 1024).into()));
    }
    let text = match str::from_utf8(&answer.body) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        // JSON with half a character may be mended.
        Err(_) if format == Format::Json => "",
        Err(_) => return refused("its answer is not UTF-8"),
    };
    if text == "success" {
        return Ok(text.to_owned());
    }
    match format {
        Format::Json => {
            let given = Some(text.to_owned()).filter(|text| is_object(text));
            let decided = given.or_else(|| json::mended(&answer.body).filter(|text| is_object(text)));
            decided.map_or_else(|| refused("its answer is no JSON object, as the push was"), Ok)
        }
        Format::Xml => {
            let text = passive_reply::fit_for_xml(text);
            let fits = Body::parse_strictly(&text).is_ok_and(|body| body.format == Format::Xml);
            if fits { Ok(text.into_owned()) } else { refused("its answer is not well-formed XML, as the push was") }
        }
    }
}

/// Not by the parser of pushes, which mends ill-formed texts.
fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(body: impl Into<Vec<u8>>, format: Format) -> Option<String> {
        decision(&Answer { host: "x".to_owned(), status: 200, body: body.into() }, format).ok()
    }

    #[test]
    fn an_answer_in_the_format_of_the_push_is_passed_on_as_it_is() {
        let (json, xml) = (" {\"ErrCode\": 0,\"ErrMsg\":\"成功\"}\n", "<xml><ErrCode>0</ErrCode></xml>");
        assert_eq!(decide(json, Format::Json).as_deref(), Some(json));
        assert_eq!(decide(xml, Format::Xml).as_deref(), Some(xml));
        assert_eq!(decide("success", Format::Xml).as_deref(), Some("success"));
    }

    /// Accepted from WeChat, and not sent to WeChat.
    const ILL_FORMED: &str = "<xml><ErrMsg><![CDATA[<a><![CDATA[1]]></a>]]></ErrMsg></xml>";

    #[test]
    fn a_fault_in_a_character_costs_no_decision() {
        for (answer, decision) in [
            (&b"\xef\xbb\xbf{\"ErrCode\":0}"[..], "{\"ErrCode\":0}"),
            (b"{\"ErrCode\":0,\"ErrMsg\":\"ok\\ud83d\"}", "{\"ErrCode\":0,\"ErrMsg\":\"ok\"}"),
            (b"{\"ErrCode\":0,\"ErrMsg\":\"a\x02\nb\"}", "{\"ErrCode\":0,\"ErrMsg\":\"a\\u0002\\u000ab\"}"),
            (b"\xef\xbb\xbfsuccess", "success"),
        ] {
            assert_eq!(decide(answer, Format::Json).as_deref(), Some(decision));
        }
        let answer = "\u{feff}<xml><ErrMsg>a\u{2}\u{ffff}\nb</ErrMsg></xml>";
        assert_eq!(decide(answer, Format::Xml).as_deref(), Some("<xml><ErrMsg>a\nb</ErrMsg></xml>"));
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(Body::parse(ILL_FORMED).is_ok());
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_DECISION_BYTES));
        for body in ["", " ", "{", "[1]", "null", "<xml></xml>", "<html>", "ok", "{\"a\":1}}", &long] {
            assert_eq!(decide(body, Format::Json), None, "{body}");
        }
        for body in ["", "{\"a\":1}", "<xml>", "<xml></xml><xml></xml>", "<!DOCTYPE a><xml></xml>", "ok", ILL_FORMED] {
            assert_eq!(decide(body, Format::Xml), None, "{body}");
        }
        assert_eq!(decide([b'{', b'"', 0xff, b'"', b':', b'1', b'}'], Format::Json), None);
    }
}
