//! A synchronous answer: what WeChat itself is to get.

use std::str;

use super::{Answer, Failure};
use crate::wechat::push::{Body, Format};

/// The largest, in bytes: documented ones have some hundred.
const MAX_DECISION_BYTES: usize = 64 * 1024;

/// The text that WeChat is to get as the answer to a push of this format, as the service gave it: well-formed in that
/// format, or `success`.
///
/// # Errors
/// [`Failure::Refused`] for anything else.
pub fn decision(answer: &Answer, format: Format) -> Result<String, Failure> {
    read(answer, format).map_err(|failure| failure.of(&answer.host))
}

fn read(answer: &Answer, format: Format) -> Result<String, Failure> {
    let refused = |error: &str| Err(Failure::Refused(error.to_owned()));
    if answer.body.is_empty() {
        return refused("its answer is empty, and WeChat wants a decision");
    }
    if answer.body.len() > MAX_DECISION_BYTES {
        return Err(Failure::Refused(format!("its answer has more than {} KiB", MAX_DECISION_BYTES / 1024)));
    }
    let Ok(text) = str::from_utf8(&answer.body) else { return refused("its answer is not UTF-8") };
    let fits = match format {
        _ if text == "success" => true,
        // The parser of pushes mends what is ill-formed.
        Format::Json => serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object()),
        Format::Xml => Body::parse(text).is_ok_and(|body| body.format == Format::Xml),
    };
    match (fits, format) {
        (true, _) => Ok(text.to_owned()),
        (false, Format::Json) => refused("its answer is no JSON object, as the push was"),
        (false, Format::Xml) => refused("its answer is not well-formed XML, as the push was"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn anything_else_is_refused() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_DECISION_BYTES));
        for body in ["", " ", "{", "[1]", "null", "<xml></xml>", "<html>", "ok", "{\"a\":1}}", &long] {
            assert_eq!(decide(body, Format::Json), None, "{body}");
        }
        for body in ["", "{\"a\":1}", "<xml>", "<xml></xml><xml></xml>", "<!DOCTYPE a><xml></xml>", "ok"] {
            assert_eq!(decide(body, Format::Xml), None, "{body}");
        }
        assert_eq!(decide([b'{', b'"', 0xff, b'"', b':', b'1', b'}'], Format::Json), None);
    }
}
