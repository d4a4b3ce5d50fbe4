//! JSON from other programs. A fault in one character of a string does not cost the whole text: this module mends the
//! string.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

mod repair;

pub(crate) use repair::repaired;

/// Reads JSON that WeChat, a webhook, a model or a backend wrote. Ill-formed JSON is read as [`mended`].
///
/// # Errors
/// The error of the original JSON, if the mended text is not JSON either.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body).or_else(|error| match mended(body) {
        Some(text) => serde_json::from_str(&text).map_err(|_| error),
        None => Err(error),
    })
}

/// What is wrong with a text that should be JSON, and where. The error's own text can quote the body.
pub fn mistake(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Data => "a field has the wrong shape or comes twice",
        _ => "a syntax error",
    };
    format!("{what}, line {} column {}", error.line(), error.column())
}

/// The text without a byte order mark, and without NULs and blanks around it. Within strings, raw control characters are
/// escaped, a backslash that begins no escape means itself, and half a character is removed: half a surrogate pair, or
/// bytes that are not UTF-8. `None` for a body in another encoding.
pub fn mended(body: &[u8]) -> Option<String> {
    let text = decoded(body)?;
    let is_around = |c: char| matches!(c, '\u{feff}' | '\0') || c.is_ascii_whitespace();
    let text = text.trim_matches(is_around);
    Some(repaired(text, "").unwrap_or_else(|| text.to_owned()))
}

/// The text without bytes that are not UTF-8: the rest of a character that was cut. Two or more bytes that begin a
/// character of UTF-8 are such a rest. A single byte could be a character of another encoding. So a body with more single
/// bytes than whole characters beyond ASCII is not UTF-8 at all, but GBK for example, and its remainder would be of no use.
fn decoded(body: &[u8]) -> Option<String> {
    let (mut text, mut strays) = (String::with_capacity(body.len()), 0);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        strays += usize::from(chunk.invalid().len() == 1);
    }
    let is_utf8 = strays == 0 || strays <= text.chars().filter(|c| !c.is_ascii()).count();
    is_utf8.then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: impl AsRef<[u8]>) -> Option<Value> {
        from_slice(body.as_ref()).ok()
    }

    #[test]
    fn a_fault_in_a_character_costs_that_character() {
        for (body, text) in [
            (r#"{"a":"您好\ud83d"}"#, "您好"),
            (r#"{"a":"\ude00您好"}"#, "您好"),
            (r#"{"a":"您\ud83d好\ud83d\ude00"}"#, "您好😀"),
            ("\u{feff}{\"a\":\"您好\"}", "您好"),
            ("\u{feff} \u{feff}{\"a\":\"您好\"}\0\0\n", "您好"),
            ("{\"a\":\"您\n好\u{1}\"}", "您\n好\u{1}"),
            (r#"{"a":"C:\dir \u12"}"#, r"C:\dir \u12"),
        ] {
            assert_eq!(read(body), Some(json!({ "a": text })), "{body}");
        }
    }

    #[test]
    fn half_a_character_in_bytes_is_taken_out_and_another_encoding_is_none() {
        assert_eq!(read(b"{\"a\":\"\xe6\x82\xa8\xe5\xa5\"}"), Some(json!({ "a": "您" })));
        for cut in [&b"\xe6\x82"[..], b"\xf0\x9f", b"\xf0\x9f\x98", b"\xe6\x82\xe6\x82"] {
            assert_eq!(
                read([b"{\"a\":\"Hi, cut ", cut, b"\"}"].concat()),
                Some(json!({ "a": "Hi, cut " })),
                "{cut:x?}"
            );
        }
        // GBK for the same two characters, also beside a cut character; Latin-1; and bytes that begin no character.
        for other in [&b"\xc4\xfa\xba\xc3"[..], b"\xc4\xfa\xba\xc3 \xe6\x82", b"caf\xe9", b"\xff\xfe", b"\xc0\x80"] {
            assert_eq!(read([b"{\"a\":\"", other, b"\"}"].concat()), None, "{other:x?}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error_with_its_place_in_the_body() {
        for body in ["", "\u{feff}", "<html>", "{\"a\":", "{\"a\":\"\\ud83d\"", "ok"] {
            assert_eq!(read(body), None, "{body}");
        }
        let error = from_slice::<Value>("{\"a\":\"\\x\",\n\"b\"}".as_bytes()).unwrap_err();
        assert_eq!((error.line(), error.column()), (1, 8));
    }

    proptest! {
        #[test]
        fn good_json_is_read_as_it_is(text in any::<String>()) {
            let body = json!({ "a": text }).to_string();
            prop_assert_eq!(read(&body), Some(json!({ "a": &text })));
            prop_assert_eq!(mended(body.as_bytes()), Some(body));
        }

        #[test]
        fn whatever_is_within_the_quotes_is_a_string_after_mending(
            text in r#"([^"\\\x{feff}]|\\[^"]|\\u[0-9a-fA-F]{0,4}|\\ud83d|\\ude00){0,20}"#,
        ) {
            let body = format!(r#"{{"a":"{text}."}}"#);
            prop_assert!(read(&body).is_some(), "{}", body);
        }
    }
}
