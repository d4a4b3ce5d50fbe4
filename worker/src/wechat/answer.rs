//! Reads WeChat's answers, which are not always correct JSON.

use kefu_wechat::json;
use serde_json::{Map, Value};

use super::Api;
use super::client::{Extent, Raw};
use super::failure::{Failure, Refusal};

/// A JSON answer of WeChat's API layer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 when the call succeeded, or when the answer has no errcode.
    pub(crate) errcode: i64,
    /// WeChat's text for the errcode.
    pub(crate) errmsg: String,
    fields: Map<String, Value>,
}

impl Answer {
    /// Reads the answer to a call.
    ///
    /// The reading is lenient, since answers may have bytes that are not UTF-8, bare control characters, half surrogate
    /// pairs and a byte order mark, may have `errcode` as a string or not at all, and may be cut off. An answer of a
    /// gateway, and not of the API layer, is a failure that passes. An answer that leaves open whether the API layer
    /// did the work is [`Failure::Unanswered`].
    pub(crate) fn read(raw: &Raw) -> Result<Self, Failure> {
        if raw.extent == Extent::TooLarge {
            return Err(Failure::Unanswered("the answer is larger than 1 MiB".into()));
        }
        let text: String =
            String::from_utf8_lossy(&raw.body).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
        let success = (200..300).contains(&raw.status);
        match json::from_slice(text.as_bytes()) {
            Ok(Value::Object(fields)) => {
                let errcode = match fields.get("errcode") {
                    None => Some(0),
                    Some(value) => integer(value),
                };
                match errcode {
                    Some(errcode) if success || errcode != 0 => {
                        let errmsg = fields.get("errmsg").and_then(Value::as_str).unwrap_or_default().to_owned();
                        return Ok(Self { errcode, errmsg, fields });
                    }
                    None if success => return Err(Failure::Unanswered("the answer has an unreadable errcode".into())),
                    _ => {}
                }
            }
            _ if success && text.starts_with('{') => {
                return match cut_errcode(text) {
                    Some(errcode) => Ok(Self { errcode, errmsg: String::new(), fields: Map::new() }),
                    None => Err(Failure::Unanswered("the answer is cut off".into())),
                };
            }
            _ if success && text.is_empty() => return Err(Failure::Unanswered("the answer is empty".into())),
            _ => {}
        }
        match raw.status {
            // The gateway passed the call on and got no answer.
            502 | 504 => Err(Failure::Unanswered(format!("a gateway answered with HTTP status {}", raw.status).into())),
            // The parser's error adds nothing, and the body may quote anything.
            status if success => Err(Failure::Passing(format!("the answer (HTTP status {status}) is not JSON").into())),
            status => Err(Failure::Passing(format!("the answer has HTTP status {status}").into())),
        }
    }

    /// The refusal in an answer of `api`, unless the answer says ok.
    pub(super) fn refusal(&self, api: Api) -> Option<Refusal> {
        Refusal::of(api, self.errcode, &self.errmsg, self.rid())
    }

    /// WeChat's id of the request, which an operator can look up in WeChat's console.
    pub(crate) fn rid(&self) -> Option<&str> {
        let (_, rest) = self.errmsg.split_once("rid:")?;
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        Some(&rest[..end]).filter(|rid| (1..=64).contains(&rid.len()))
    }

    /// The text of a field, unless the text is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The field `name` of each object in a list; no texts when the answer has no such list.
    pub(crate) fn texts(&self, list: &str, name: &str) -> Vec<String> {
        let items = self.fields.get(list).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.get(name)?.as_str()).map(str::to_owned).collect()
    }

    /// The number of a field, even when the number came as a string.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.fields.get(name).and_then(integer)
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        // WeChat may write a whole number as 7200.0.
        Value::Number(number) => {
            let float = || number.as_f64().filter(|float| float.abs() < 1e15).map(|float| float as i64);
            number.as_i64().or_else(float)
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The errcode of an answer that is cut off after it. The errcode only counts when more text follows its digits, since
/// the cut may have removed some of them.
fn cut_errcode(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("\"errcode\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-')?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &[u8]) -> Result<Answer, Failure> {
        Answer::read(&Raw::whole(status, body))
    }

    #[test]
    fn errcode_is_a_number_a_string_or_absent() {
        for (body, errcode) in [
            (
                &br#"{"errcode":45047,"errmsg":"out of response count limit rid: 64a774ce-020c072d-6c820ec0"}"#[..],
                45047,
            ),
            (br#"{"errcode":"-1","errmsg":"system error"}"#, -1),
            (br#"{"errcode":0}"#, 0),
            (br#"{"access_token":"T","expires_in":7200}"#, 0),
            (b"\xef\xbb\xbf {\"errcode\":40001,\"errmsg\":\"bad \xff\xfe\nbytes\"}", 40001),
        ] {
            assert_eq!(read(200, body).unwrap().errcode, errcode);
        }
    }

    #[test]
    fn a_fault_in_a_text_costs_no_answer() {
        for body in [
            &b"{\"access_token\":\"T\",\"expires_in\":7200,\"x\":\"\\ud83d\"}"[..],
            b"{\"access_token\":\"T\",\"expires_in\":7200,\"x\":\"C:\\dir\"}",
            b" \xef\xbb\xbf {\"access_token\":\"T\",\"expires_in\":7200,\"x\":\"\xe6\xff\"}\0\0",
        ] {
            let answer = read(200, body).unwrap();
            assert_eq!(
                (answer.errcode, answer.text("access_token"), answer.number("expires_in")),
                (0, Some("T"), Some(7_200))
            );
        }
    }

    #[test]
    fn the_rid_is_found_in_the_errmsg() {
        let rid = |errmsg: &str| {
            let body = serde_json::json!({ "errcode": 1, "errmsg": errmsg }).to_string();
            read(200, body.as_bytes()).unwrap().rid().map(str::to_owned)
        };
        assert_eq!(rid("x rid: 64a774ce-020c072d-6c820ec0, more").as_deref(), Some("64a774ce-020c072d-6c820ec0"));
        assert_eq!(rid("hint: [abc]"), None);
        assert_eq!(rid("rid:"), None);
    }

    #[test]
    fn what_no_api_layer_wrote_passes() {
        for (status, body) in
            [(500, &b"oops"[..]), (200, b"<html>busy</html>"), (503, br#"{"errcode":0}"#), (404, b""), (200, b"[1]")]
        {
            let failure = read(status, body).unwrap_err();
            assert!(matches!(failure, Failure::Passing(_)), "{status}: {failure:?}");
        }
    }

    #[test]
    fn an_errcode_counts_whatever_the_status() {
        assert_eq!(read(412, br#"{"errcode":45011,"errmsg":"api minute-quota reach limit"}"#).unwrap().errcode, 45011);
    }

    #[test]
    fn an_answer_that_leaves_the_outcome_open_is_unanswered() {
        for (status, body) in [
            (200, &br#"{"errc"#[..]),
            (200, br#"{"errcode":0"#),
            (200, b""),
            (504, b"<html>"),
            (200, br#"{"errcode":[]}"#),
        ] {
            let failure = read(status, body).unwrap_err();
            assert!(matches!(failure, Failure::Unanswered(_)), "{status} {body:?}: {failure:?}");
        }
    }

    #[test]
    fn a_cut_answer_with_a_whole_errcode_is_an_answer() {
        assert_eq!(read(200, br#"{"errcode":0,"errm"#).unwrap().errcode, 0);
        assert_eq!(read(200, br#"{"errcode" : "40001" ,"errmsg":"inv"#).unwrap().errcode, 40001);
    }
}
