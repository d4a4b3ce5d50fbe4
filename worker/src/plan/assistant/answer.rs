//! Reads the answer of the assistant's server, and selects the part that a user may see.

use kefu_messages::reply::{cluster, control};
use kefu_wechat::json;
use serde_json::Value;

use super::client::Raw;
use super::failure::{Failure, Kind};

mod tags;
mod thoughts;

/// The sign that replaces omitted text.
const ELLIPSIS: &str = "…";

/// The text of the first choice, without control characters and without thoughts.
///
/// An answer that the server cut at `max_tokens` counts, with `…` at its end. An answer that a content filter touched
/// does not count, and neither does a refusal: the user gets the operator's fallback instead.
///
/// Source: <https://platform.openai.com/docs/api-reference/chat/object>.
pub(super) fn read(raw: &Raw) -> Result<String, Failure> {
    let json: Option<Value> = json::from_slice(&raw.body).ok();
    if !(200..300).contains(&raw.status) {
        return Err(of_status(raw, json.as_ref()));
    }
    let choice = json.as_ref().and_then(|json| json.pointer("/choices/0"));
    let Some((choice, message)) = choice.and_then(|choice| Some((choice, choice.get("message")?.as_object()?))) else {
        return Err(Failure::new(Kind::Unusable, no_completion(raw, json.as_ref())));
    };
    let finish_reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    let refused = message.get("refusal").and_then(Value::as_str).is_some_and(|refusal| !refusal.is_empty());
    if finish_reason == "content_filter" || refused {
        return Err(Failure::new(Kind::Withheld, "the model declined to answer, or a filter held the answer back"));
    }
    let text = message.get("content").map(text_of).unwrap_or_default();
    let text = control::cleaned(&text);
    let text = if finish_reason == "length" { thoughts::without_half_tag(&text) } else { &text };
    let answer = thoughts::without_thoughts(text);
    if !answer.is_empty() {
        return Ok(if finish_reason == "length" { format!("{answer}{ELLIPSIS}") } else { answer });
    }
    let why = match finish_reason {
        "length" => "the model came to no answer before its limit: raise max_tokens, or leave it out",
        // kefu offers no tools, so a tool call cannot be meant for kefu.
        "tool_calls" | "function_call" => "the model calls a tool instead of answering",
        _ if !text.trim().is_empty() => "the model's answer is nothing but thoughts",
        _ => "the model's answer is empty",
    };
    Err(Failure::new(Kind::Empty, why))
}

/// At most `most_bytes` of an answer. The cut falls at the end of a character as a reader sees it.
pub(super) fn shortened(answer: String, most_bytes: usize) -> String {
    if answer.len() <= most_bytes {
        return answer;
    }
    let end = cluster::floor(&answer, most_bytes.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", answer[..end].trim_end())
}

/// Why an answer of status 2xx is no completion. The text suspects the address only when no such API would have
/// answered so.
fn no_completion(raw: &Raw, json: Option<&Value>) -> String {
    const ADDRESS: &str = "check that base_url is the address of an OpenAI-compatible API";
    let begin = String::from_utf8_lossy(&raw.body[..raw.body.len().min(64)]);
    let begin = begin.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
    match json {
        Some(json) if json.get("error").is_some_and(|error| !error.is_null()) => {
            let code = error_code(json).map(|code| format!(" ({code})")).unwrap_or_default();
            format!("the server answered {} and an error{code}", raw.status)
        }
        Some(json) if json.get("choices").is_some() => "the server's answer has no choice with a message".to_owned(),
        Some(_) => format!("the server's answer is JSON, and no chat completion: {ADDRESS}"),
        None if begin.starts_with('<') => format!("the server's answer is a web page: {ADDRESS}"),
        None if begin.is_empty() => "the server's answer is empty".to_owned(),
        None if begin.starts_with("data:") || begin.starts_with("event:") => {
            "the server streams its answer, which kefu does not ask for".to_owned()
        }
        None => "the server's answer is no JSON, or is cut".to_owned(),
    }
}

fn of_status(raw: &Raw, json: Option<&Value>) -> Failure {
    let code = json.and_then(error_code).map(|code| format!(" ({code})")).unwrap_or_default();
    let status = raw.status;
    let (kind, why) = match status {
        429 if code.contains("quota") => (Kind::Rejected, "the account at the server has no credit left"),
        429 => (Kind::Throttled, "the server wants fewer requests"),
        408 | 425 | 500.. => (Kind::Failed, "the server has a fault"),
        300..400 => {
            (Kind::Rejected, "the server redirects, and kefu follows no redirect: set base_url to the new address")
        }
        401 | 403 => (Kind::Rejected, "the server refuses the key: see key or key_file"),
        404 | 405 => (Kind::Rejected, "the server knows no such address or model: see base_url and model"),
        400 | 413 | 422 => {
            (Kind::Unacceptable, "the server does not take the request: see model, max_tokens and temperature")
        }
        _ => (Kind::Rejected, "the server does not take the request"),
    };
    Failure::new(kind, format!("{why}; it answered {status}{code}")).with_retry_after(raw.retry_after)
}

/// The error's code, if the code is a word. kefu does not show the error's message, since servers quote keys and texts
/// there.
fn error_code(json: &Value) -> Option<&str> {
    let code = ["/error/code", "/error/type"].iter().find_map(|place| json.pointer(place)?.as_str())?;
    (code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(code)
}

/// The text of a message's content, which is a text or a list of parts with texts. A part of another type, such as a
/// thought, has no text.
fn text_of(content: &Value) -> String {
    let is_text = |part: &&Value| {
        let kind = part.get("type").and_then(Value::as_str);
        kind.is_none_or(|kind| matches!(kind, "text" | "output_text"))
    };
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter(is_text).filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
