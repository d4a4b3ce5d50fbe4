//! Bodies in JSON.

use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Fields, MAX_DEPTH, PushError};

/// Reads the top-level fields. Numbers stay as they are written: a `MsgId` beyond 2^53 must not pass through a float.
pub(super) fn parse(text: &str) -> Result<Fields, PushError> {
    // serde_json's own limit of 128 levels does not hold for raw values, which it scans without recursion.
    if deepest_nesting(text) > MAX_DEPTH {
        return Err(PushError::TooDeep);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = deserializer.deserialize_map(TopLevel).map_err(malformed)?;
    deserializer.end().map_err(malformed)?;
    Ok(fields)
}

fn malformed(error: serde_json::Error) -> PushError {
    // The error's own text can quote the body.
    let reason = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field has the wrong shape or comes twice",
        _ => "a syntax error",
    };
    PushError::Malformed {
        format: "JSON",
        reason: format!("{reason}, line {} column {}", error.line(), error.column()),
    }
}

fn deepest_nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let value = text_of(map.next_value::<&RawValue>()?.get()).map_err(de::Error::custom)?;
            if !fields.insert(name, value) {
                return Err(de::Error::custom("a field comes twice"));
            }
        }
        Ok(fields)
    }
}

/// A string without its quotes, `null` as empty, everything else as it is written.
fn text_of(raw: &str) -> Result<String, serde_json::Error> {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw),
        Some(b'n') => Ok(String::new()),
        Some(b'{' | b'[') => serde_json::from_str::<IgnoredAny>(raw).map(|_| raw.to_owned()),
        _ => Ok(raw.to_owned()),
    }
}
