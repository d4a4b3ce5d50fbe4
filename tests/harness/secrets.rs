//! What must not be in a log, in whatever form.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Things that nobody may read in a program's output, by name.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    /// Adds one; `name` is for people.
    ///
    /// # Panics
    /// When it is so short that it could be in an output by chance.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, secret: impl AsRef<[u8]>) -> Self {
        let (name, secret) = (name.into(), secret.as_ref().to_vec());
        assert!(secret.len() >= 12, "{name} has only {} bytes", secret.len());
        self.0.push((name, secret));
        self
    }

    /// The names of those that are in `output`, each with the form it has there: as it is, escaped for JSON, Rust or a
    /// URL, as bytes in hexadecimal or decimal, in base64.
    pub fn found_in(&self, output: &str) -> Vec<String> {
        let lower = output.to_lowercase();
        let mut found = Vec::new();
        for (name, secret) in &self.0 {
            let forms = forms(secret);
            let seen = |(_, form, any_case): &&(_, String, bool)| match any_case {
                true => lower.contains(&form.to_lowercase()),
                false => output.contains(form.as_str()),
            };
            found.extend(forms.iter().filter(seen).map(|(kind, ..)| format!("{name} ({kind})")));
        }
        found
    }

    /// Fails the test when one of them is in `output`.
    ///
    /// # Panics
    /// With the names of all that are.
    pub fn must_not_be_in(&self, output: &str) {
        let found = self.found_in(output);
        assert!(found.is_empty(), "in an output of {} bytes: {}", output.len(), found.join(", "));
    }
}

/// Kind, form, and whether its letters may be large or small.
fn forms(secret: &[u8]) -> Vec<(&'static str, String, bool)> {
    let each = |one: &dyn Fn(u8) -> String, between: &str| {
        secret.iter().map(|byte| one(*byte)).collect::<Vec<_>>().join(between)
    };
    let text = String::from_utf8_lossy(secret);
    let json = serde_json::Value::from(text.as_ref()).to_string();
    let mut forms = vec![
        ("as it is", text.clone().into_owned(), false),
        ("JSON", json[1..json.len() - 1].to_owned(), false),
        ("JSON in ASCII", ascii_json(&text), true),
        ("Rust's escapes", text.escape_debug().to_string(), false),
        ("Rust's escapes of bytes", secret.escape_ascii().to_string(), true),
        ("percent escapes", each(&percent, ""), true),
        ("hexadecimal", hex::encode(secret), true),
        ("hexadecimal, with blanks", each(&|byte| format!("{byte:02x}"), " "), true),
        ("hexadecimal list", each(&|byte| format!("{byte:x}"), ", "), true),
        ("hexadecimal list", each(&|byte| format!("0x{byte:02x}"), ", "), true),
        ("decimal list", each(&|byte| byte.to_string(), ", "), false),
        ("decimal list", each(&|byte| byte.to_string(), ","), false),
        // `{:#?}`, its line breaks escaped by the JSON of a log line.
        ("decimal list", each(&|byte| byte.to_string(), ",\\n        "), false),
    ];
    forms.extend(base64s(secret).map(|form| ("base64", form, false)));
    forms
}

fn percent(byte: u8) -> String {
    match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02x}"),
    }
}

fn ascii_json(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut json, unit| {
        match u8::try_from(unit).ok().filter(|byte| (0x20..0x7f).contains(byte) && !b"\"\\".contains(byte)) {
            Some(byte) => json.push(char::from(byte)),
            None => write!(json, "\\u{unit:04x}").expect("a string takes everything"),
        }
        json
    })
}

/// The secret inside a longer text, whose first bytes shift it by none, one or two; only the characters that depend on
/// nothing but the secret.
fn base64s(secret: &[u8]) -> impl Iterator<Item = String> {
    (0..3).flat_map(move |shift| {
        let padded = [&b"\0\0"[..shift], secret].concat();
        let whole = padded.len() * 8 / 6;
        let inside = (shift * 8).div_ceil(6)..whole;
        [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
            .map(|encoded| encoded[inside.clone()].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::default().with("text", "你好 \"kefu\" +/?")
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let text = "你好 \"kefu\" +/?";
        let longer = format!("ab{text}cd");
        let outputs = [
            format!("said {text}"),
            format!("{longer:?}"),
            format!("{:?}", longer.as_bytes()),
            format!("{:x?}", longer.as_bytes()),
            serde_json::json!({ "line": format!("{:#?}", Some(longer.as_bytes())) }).to_string(),
            serde_json::json!({ "line": longer }).to_string(),
            r#"{"line":"\u4f60\u597D \u0022kefu\u0022 +/?"}"#.to_owned(),
            format!("b\"{}\"", longer.as_bytes().escape_ascii()),
            hex::encode_upper(&longer),
            STANDARD_NO_PAD.encode(&longer),
            STANDARD_NO_PAD.encode(&longer[1..]),
            STANDARD_NO_PAD.encode(&longer[2..]),
            URL_SAFE_NO_PAD.encode(&longer),
            "%E4%BD%A0%E5%A5%BD%20%22kefu%22%20%2B%2F%3F".to_owned(),
        ];
        for output in outputs {
            assert!(!secrets().found_in(&output).is_empty(), "not found in {output}");
        }
    }

    #[test]
    fn what_is_only_alike_is_not_found() {
        assert_eq!(secrets().found_in("你好, kefu: [228, 189, 160] e4bda0"), [""; 0]);
    }
}
