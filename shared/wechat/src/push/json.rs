//! Bodies in JSON.

use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Collected, Unfit};
use super::{Fields, MAX_DEPTH, PushError};
use crate::json::{mistake, repaired};

/// The character that stands for half a surrogate pair, so that the user's text shows where the half was.
const HALF: &str = "\u{fffd}";

/// Reads the top-level fields. Numbers stay as they are written: a `MsgId` beyond 2^53 must not pass through a float.
/// Strings that serde_json refuses are repaired.
pub(super) fn parse(text: &str) -> Result<Fields, PushError> {
    parse_strictly(text).or_else(|error| match error {
        PushError::TooDeep => Err(error),
        // If the body has another fault too, the first error names a place in the original text.
        _ => repaired(text, HALF).and_then(|text| parse_strictly(&text).ok()).ok_or(error),
    })
}

/// As [`parse`], but refuses such strings.
pub(super) fn parse_strictly(text: &str) -> Result<Fields, PushError> {
    // serde_json's own limit of 128 levels does not hold for raw values, which it scans without recursion.
    if deepest_nesting(text) > MAX_DEPTH {
        return Err(PushError::TooDeep);
    }
    let mut fields = Collected::of(text.len());
    let mut too_many = false;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(TopLevel { fields: &mut fields, too_many: &mut too_many });
    match read.and_then(|()| deserializer.end()) {
        Ok(()) => Ok(fields.into_fields()),
        Err(_) if too_many => Err(PushError::TooManyFields),
        Err(error) => Err(PushError::Malformed { format: "JSON", reason: mistake(&error) }),
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

struct TopLevel<'a> {
    fields: &'a mut Collected,
    too_many: &'a mut bool,
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<&RawValue>()?;
            let value = text_of(value.get()).map_err(de::Error::custom)?;
            self.fields.insert(&name, &value).map_err(|unfit| {
                *self.too_many = unfit == Unfit::TooMany;
                de::Error::custom("a field comes twice, or there are too many")
            })?;
        }
        Ok(())
    }
}

/// A string without its quotes, `null` as the empty text, and every other value as it is written.
fn text_of(raw: &str) -> Result<String, serde_json::Error> {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw),
        Some(b'n') => Ok(String::new()),
        Some(b'{' | b'[') => serde_json::from_str::<IgnoredAny>(raw).map(|_| raw.to_owned()),
        _ => Ok(raw.to_owned()),
    }
}
