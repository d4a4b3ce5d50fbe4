//! The request to the model.

use kefu_messages::rules::Briefing;
use kefu_program::config;
use kefu_store::Exchange;
use serde_json::{Value, json};

/// The body of a request: the operator's instructions to the model, the conversation so far, the user's text. The body
/// does not name the user.
///
/// Source: <https://platform.openai.com/docs/api-reference/chat/create>.
pub(super) fn body(config: &config::Assistant, briefing: &Briefing, history: &[Exchange], text: &str) -> Vec<u8> {
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    let mut messages: Vec<Value> = Vec::new();
    messages.extend(briefing.system_prompt.as_deref().map(|prompt| message("system", prompt)));
    for Exchange { asked, answered } in history {
        messages.extend([message("user", asked), message("assistant", answered)]);
    }
    messages.push(message("user", text));

    let mut body = json!({ "model": config.model, "messages": messages, "stream": false });
    // Some models refuse a request that has these fields.
    if let Some(max_tokens) = config.max_tokens {
        body["max_tokens"] = max_tokens.into();
    }
    if let Some(temperature) = config.temperature {
        body["temperature"] = temperature.into();
    }
    body.to_string().into_bytes()
}
