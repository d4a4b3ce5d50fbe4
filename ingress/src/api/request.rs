//! The body of a request to send a message: its shape, and whether kefu can send the message.

use kefu_messages::outbound::Outbound;
use kefu_messages::reply::picture::PictureFolder;
use kefu_messages::reply::untrusted::{self, Misshapen};
use kefu_program::config::Config;
use kefu_wechat::json;
use kefu_wechat::openid::OpenId;
use serde::de::IgnoredAny;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::shapes::SendRequest;
use crate::refusal::Refusal;

/// The largest `business_id`: the largest whole number that every JSON library reads exactly.
pub(super) const MAX_BUSINESS_ID: u64 = (1 << 53) - 1;

/// The longest openid, in characters. WeChat's openids have 28.
pub(super) const LONGEST_OPENID: usize = 128;

/// A message of a team's own backend to a user.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutboundMessage {
    pub(crate) user: OpenId,
    pub(crate) outbound: Outbound,
    /// The fingerprint is equal for bodies that say the same in different notations.
    pub(crate) fingerprint: String,
}

/// Reads the shape that the OpenAPI document describes. kefu repairs mistakes of JSON within a text.
pub(crate) fn parse(body: &[u8]) -> Result<SendRequest, Refusal> {
    strictly(body).or_else(|problem| match json::mended(body) {
        // If the repaired body is no JSON either, the first problem names a place in the original body.
        Some(mended) if serde_json::from_str::<IgnoredAny>(&mended).is_ok() => strictly(mended.as_bytes()),
        _ => Err(problem),
    })
}

fn strictly(body: &[u8]) -> Result<SendRequest, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let request = untrusted::read(&mut json).map_err(|Misshapen { place, problem }| {
        let place = if place.is_empty() { "the body".to_owned() } else { place };
        Refusal::MalformedRequest(format!("{place}: {problem}"))
    })?;
    json.end().map_err(|error| Refusal::MalformedRequest(format!("the body: {error}")))?;
    match serde_json::from_slice(body).ok().and_then(|value| null_in(&value, String::new())) {
        Some(path) => Err(Refusal::MalformedRequest(format!("{path}: is null: leave it out"))),
        None => Ok(request),
    }
}

/// The path of a null in the value, if the value has one: a client must leave out a field instead of giving null.
fn null_in(value: &Value, path: String) -> Option<String> {
    match value {
        Value::Null => Some(path),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| null_in(item, format!("{path}[{index}]")))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            null_in(field, if path.is_empty() { name.clone() } else { format!("{path}.{name}") })
        }),
        _ => None,
    }
}

impl From<SendRequest> for OutboundMessage {
    fn from(request: SendRequest) -> Self {
        // The request has strings, numbers and lists only, so serialising it cannot fail.
        let fingerprint = hex::encode(Sha256::digest(serde_json::to_vec(&request).unwrap_or_default()));
        let SendRequest { to, replies, business_id } = request;
        Self { user: to, outbound: Outbound { replies, business_id }, fingerprint }
    }
}

/// Judges a message beyond its shape. The judgement may be different tomorrow, when a picture is gone or the
/// configuration has changed. This function reads the pictures, which takes a moment.
pub(crate) fn judge(message: &OutboundMessage, config: &Config) -> Result<(), Refusal> {
    let OutboundMessage { user, outbound, .. } = message;
    let mut problems = Vec::new();
    let is_openid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let to = user.as_str();
    if !(1..=LONGEST_OPENID).contains(&to.len()) || !to.bytes().all(is_openid) {
        problems.push(format!("to: must be an openid, 1 to {LONGEST_OPENID} letters, digits, - and _"));
    }
    if outbound.business_id.is_some_and(|id| id > MAX_BUSINESS_ID) {
        problems.push(format!("business_id: must be from 0 to {MAX_BUSINESS_ID}"));
    }
    let pictures = PictureFolder { path: config.folder.clone(), max_bytes: config.wechat.max_image_bytes };
    problems.extend(outbound.problems(config.window.message_replies, Some(&pictures)));
    if problems.is_empty() { Ok(()) } else { Err(Refusal::Unsendable(problems)) }
}

#[cfg(test)]
pub(super) mod tests;
