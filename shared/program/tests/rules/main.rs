//! Which push gets which replies, and which rules are refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use kefu_messages::reply::Content;
use kefu_messages::rules::{Action, Rule, Rules};
use kefu_program::testing::{Folder, smallest};
use kefu_wechat::push::Push;

mod answered;
mod explained;
mod matching;
mod refused;
mod replies;

fn load(rules: &str) -> Result<Arc<Rules>, Vec<String>> {
    let folder = Folder::new(smallest(&["wx1", "wx2"]) + rules)
        .with("code.png", b"\x89PNG\r\n\x1a\n")
        .with("notes.txt", "no picture")
        .with("large.png", [&b"\x89PNG"[..], &[0; 3_000_000]].concat());
    let loaded = folder.load(&[]);
    loaded.map(|config| config.rules.current()).map_err(|errors| errors.problems().to_vec())
}

fn push(fields: &str) -> Push {
    Push::parse(&format!(r#"{{"FromUserName":"oUSER","CreateTime":1,{fields}}}"#)).unwrap()
}

fn text(content: &str) -> Push {
    push(&format!(r#""MsgType":"text","MsgId":1,"Content":{}"#, serde_json::to_string(content).unwrap()))
}

fn enter(session_from: &str) -> Push {
    push(&format!(r#""MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"{session_from}""#))
}

/// The texts that the rules reply with.
fn replies(rules: &str, push: &Push) -> Vec<String> {
    let rules = load(rules).expect("the rules are good");
    let Some(Action::Reply(replies)) = rules.decide("wx1", push).map(Rule::action) else { return Vec::new() };
    let texts = replies.iter().map(|reply| match &reply.content {
        Content::Text(text) => text.clone(),
        _ => reply.kind().to_owned(),
    });
    texts.collect()
}

fn rule(when: &str, reply: &str) -> String {
    format!("[[rule]]\nwhen = {when}\nreply = [{{ text = \"{reply}\" }}]\n")
}
