//! What came back from the assistant's server, and what of it a user may see.

use serde_json::Value;

use super::client::Raw;
use super::failure::{Failure, Kind};

/// The end of what a model wrote for itself, where its server passes that on with the answer.
const END_OF_THOUGHTS: &str = "</think>";

/// What stands for what is left out.
const ELLIPSIS: &str = "…";

/// The text of the first choice.
///
/// An answer that was cut at `max_tokens` counts, with `…` at its end. One that a content filter touched does not, and
/// neither does a refusal: what the user is told then is the operator's fallback.
///
/// Source: <https://platform.openai.com/docs/api-reference/chat/object>.
pub(super) fn read(raw: &Raw) -> Result<String, Failure> {
    let json: Option<Value> = serde_json::from_slice(&raw.body).ok();
    if !(200..300).contains(&raw.status) {
        return Err(of_status(raw, json.as_ref()));
    }
    let choice = json.as_ref().and_then(|json| json.pointer("/choices/0"));
    let Some((choice, message)) = choice.and_then(|choice| Some((choice, choice.get("message")?.as_object()?))) else {
        let why = "the server's answer is no chat completion: see that base_url is that of an OpenAI-compatible API";
        return Err(Failure::new(Kind::Unusable, why));
    };
    let finish_reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    let refused = message.get("refusal").and_then(Value::as_str).is_some_and(|refusal| !refusal.is_empty());
    if finish_reason == "content_filter" || refused {
        return Err(Failure::new(Kind::Withheld, "the model declined to answer, or a filter held the answer back"));
    }
    let text = message.get("content").map(text_of).unwrap_or_default();
    let answer = without_thoughts(&text);
    match (answer.is_empty(), finish_reason) {
        (false, "length") => Ok(format!("{answer}{ELLIPSIS}")),
        (false, _) => Ok(answer.to_owned()),
        (true, "length") => Err(Failure::new(
            Kind::Empty,
            "the model came to no answer before its limit: raise max_tokens, or leave it out",
        )),
        // No tools are offered, so a call of one cannot be meant for kefu.
        (true, "tool_calls" | "function_call") => {
            Err(Failure::new(Kind::Empty, "the model calls a tool instead of answering"))
        }
        (true, _) => Err(Failure::new(Kind::Empty, "the model's answer is empty")),
    }
}

/// At most `most_bytes` of an answer, cut between characters.
pub(super) fn shortened(answer: String, most_bytes: usize) -> String {
    if answer.len() <= most_bytes {
        return answer;
    }
    let end = answer.floor_char_boundary(most_bytes.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", answer[..end].trim_end())
}

fn of_status(raw: &Raw, json: Option<&Value>) -> Failure {
    let code = json.and_then(error_code).map(|code| format!(" ({code})")).unwrap_or_default();
    let status = raw.status;
    let (kind, why) = match status {
        429 if code.contains("quota") => (Kind::Rejected, "the account at the server has no credit left"),
        429 => (Kind::Throttled, "the server wants fewer requests"),
        408 | 425 | 500.. => (Kind::Failed, "the server has a fault"),
        300..400 => (Kind::Rejected, "the server redirects, which is not followed: set base_url to where it leads"),
        401 | 403 => (Kind::Rejected, "the server refuses the key: see key or key_file"),
        404 | 405 => (Kind::Rejected, "the server knows no such address or model: see base_url and model"),
        400 | 413 | 422 => {
            (Kind::Unacceptable, "the server does not take the request: see model, max_tokens and temperature")
        }
        _ => (Kind::Rejected, "the server does not take the request"),
    };
    Failure::new(kind, format!("{why}; it answered {status}{code}")).with_retry_after(raw.retry_after)
}

/// The error's code, if it is a word. Its message is not shown: servers quote keys and texts there.
fn error_code(json: &Value) -> Option<&str> {
    let code = ["/error/code", "/error/type"].iter().find_map(|place| json.pointer(place)?.as_str())?;
    (code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(code)
}

/// A text, or a list of parts with texts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// What follows the thoughts that some servers leave in the text, `<think>…</think>`, the first of the two not always.
fn without_thoughts(text: &str) -> &str {
    match text.rsplit_once(END_OF_THOUGHTS) {
        Some((_, answer)) => answer.trim(),
        None if text.trim_start().starts_with("<think>") => "",
        None => text.trim(),
    }
}

#[cfg(test)]
mod tests;
